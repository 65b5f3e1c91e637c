"""The doors: who gets in, in which words others are refused, and what a call is from the first frame to the last."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from relay.net import doors
from relay.net.house import House
from tests.fakes.running_relay import KEY, Relay, free_port, get, said, say, with_relay


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


async def refused(url: str, **options: Any) -> tuple[int, dict[str, Any]]:
    """Status and error of a refused upgrade."""
    with pytest.raises(InvalidStatus) as refusal:
        async with connect(url, **options):
            pass
    response = refusal.value.response
    return response.status_code, orjson.loads(response.body or b"{}")["error"]


# --- calls


@pytest.mark.parametrize("model", ["local/agent", "sim/any"])
def test_openai_caller_is_answered_aloud(tmp_path: Path, model: str) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai(model) as socket:
            assert orjson.loads(await socket.recv())["type"] == "session.created"
            await say(socket, "conversation.item.create", item=user("hello"))
            await say(socket, "response.create")
            audio = await said(socket, "response.output_audio.delta")
            assert audio["delta"]
            done = await said(socket, "response.done")
            assert done["response"]["status"] == "completed"

    with_relay(tmp_path, scenario)


def test_ai_sdk_caller_is_answered_aloud(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.gateway() as socket:
            assert socket.subprotocol == "ai-gateway-realtime.v1"
            await say(socket, "session-update", config={})
            await said(socket, "session-created", "session-updated")
            item = {"type": "text-message", "role": "user", "text": "hello"}
            await say(socket, "conversation-item-create", item=item)
            await say(socket, "response-create")
            assert (await said(socket, "audio-delta"))["delta"]
            assert (await said(socket, "response-done"))["status"] == "completed"

    with_relay(tmp_path, scenario)


def test_caller_of_another_rate_is_heard_at_the_rate_of_the_model(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.gateway("sim/any") as socket:
            await say(socket, "session-update", config={
                "inputAudioFormat": {"type": "audio/pcm", "rate": 16_000}, "turnDetection": {"type": "disabled"}})
            await said(socket, "session-updated")
            audio = bytes(16_000 * 2 * 120 // 1_000)  # 120 ms; taken for 24 kHz they would be 80, too few to commit
            await say(socket, "input-audio-append", audio=base64.b64encode(audio).decode())
            await say(socket, "input-audio-commit")
            assert (await said(socket, "audio-committed", "error"))["type"] == "audio-committed"

    with_relay(tmp_path, scenario)


def test_server_tool_of_an_agent_is_run_out_of_the_callers_sight(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai("agent/helper") as socket:
            await said(socket, "session.created")
            await say(socket, "conversation.item.create", item=user("use the tool"))
            await say(socket, "response.create")
            seen = []
            async with asyncio.timeout(3):
                while "response.output_audio.delta" not in seen:
                    seen.append(orjson.loads(await socket.recv())["type"])
            assert not [kind for kind in seen if "function_call" in kind]

    with_relay(tmp_path, scenario, f"""
[tools.look]
url = "http://127.0.0.1:{free_port()}/"
[agents.helper]
model = "sim/any"
tools = ["look"]
""")


def test_session_of_a_token_is_where_the_caller_starts_from(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        from aiohttp import ClientSession

        body = {"session": {"type": "realtime", "model": "local/agent", "instructions": "Speak like a pirate."}}
        async with ClientSession() as http, http.post(
            relay.http + "/v1/realtime/client_secrets", json=body, headers={"Authorization": f"Bearer {KEY}"}
        ) as response:
            secret = (await response.json())["value"]
        async with connect(relay.ws + "/v1/realtime", compression=None,
                           subprotocols=["realtime", f"openai-insecure-api-key.{secret}"]) as socket:
            assert socket.subprotocol == "realtime"
            created = await said(socket, "session.created")
            assert created["session"]["instructions"] == "Speak like a pirate."
            assert created["session"]["model"] == "local/agent"

    with_relay(tmp_path, scenario)


def test_agent_settings_are_pinned_and_hidden(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai("agent/pirate") as socket:
            created = await said(socket, "session.created")
            assert "pirate" not in created["session"]["instructions"]
            await say(socket, "session.update", session={"type": "realtime", "instructions": "Be kind."})
            updated = await said(socket, "session.updated")
            assert updated["session"]["instructions"] != "Be kind."

    with_relay(tmp_path, scenario, '[agents.pirate]\nmodel = "local/agent"\ninstructions = "You are a pirate."\n')


def test_relay_mode_hook_with_openai_frames_may_wait_for_the_session(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with connect(relay.ws + "/v1/realtime?model=local/agent", compression=None,
                           subprotocols=["realtime", f"openai-insecure-api-key.{KEY}"]) as socket:
            await said(socket, "session.created")

    with_relay(tmp_path, scenario)


# --- refusals


@pytest.mark.parametrize(("query", "headers", "status", "code"), [
    ("?model=local/agent", {}, 401, "invalid_api_key"),
    ("?model=local/agent", {"Authorization": "Bearer wrong"}, 401, "invalid_api_key"),
    ("?model=nobody/nothing", {"Authorization": f"Bearer {KEY}"}, 404, "model_not_found"),
    ("?model=agent/nobody", {"Authorization": f"Bearer {KEY}"}, 404, "model_not_found"),
    ("?model=%00%0a", {"Authorization": f"Bearer {KEY}"}, 404, "model_not_found"),
    ("", {"Authorization": f"Bearer {KEY}"}, 404, "model_not_found"),
    ("?model=local/agent", {"Authorization": f"Bearer {KEY}", "Origin": "https://evil.example"}, 403, "origin_refused"),
])
def test_openai_door_refuses_with_an_http_status(
    tmp_path: Path, query: str, headers: dict[str, str], status: int, code: str
) -> None:
    async def scenario(relay: Relay) -> None:
        got, error = await refused(relay.ws + "/v1/realtime" + query, additional_headers=headers)
        assert (got, error["code"]) == (status, code)

    with_relay(tmp_path, scenario)


@pytest.mark.parametrize(("model", "token", "origin", "code"), [
    ("local/agent", "wrong", None, "authentication_error"),
    ("nobody/nothing", KEY, None, "model_not_found"),
    ("local/agent", KEY, "https://evil.example", "forbidden"),
])
def test_ai_sdk_door_completes_the_handshake_and_says_why(
    tmp_path: Path, model: str, token: str, origin: str | None, code: str
) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.gateway(model, token, origin=origin) as socket:
            error = orjson.loads(await socket.recv())
            assert error["type"] == "error"
            assert error["code"] == code
            await socket.wait_closed()
            assert socket.close_code == 1008

    with_relay(tmp_path, scenario)


@pytest.mark.parametrize("how", [
    {"additional_headers": {"Authorization": f"Bearer {KEY}", "OpenAI-Beta": "realtime=v1"}},
    {"subprotocols": ["realtime", f"openai-insecure-api-key.{KEY}", "openai-beta.realtime-v1"]},
])
def test_beta_shape_is_told_that_it_is_switched_off(tmp_path: Path, how: dict[str, Any]) -> None:
    async def scenario(relay: Relay) -> None:
        async with connect(relay.ws + "/v1/realtime?model=local/agent", compression=None, **how) as socket:
            error = orjson.loads(await socket.recv())
            assert error["error"]["code"] == "beta_api_shape_disabled"
            await socket.wait_closed()
            assert socket.close_code == 4000

    with_relay(tmp_path, scenario)


@pytest.mark.parametrize("path", ["/v1/realtime?model=local/agent", "/v4/ai/realtime-model?ai-model-id=local/agent"])
def test_full_relay_says_when_to_come_back(tmp_path: Path, path: str) -> None:
    async def scenario(relay: Relay) -> None:
        headers = {"Authorization": f"Bearer {KEY}"}
        async with relay.openai() as first:
            await said(first, "session.created")
            with pytest.raises(InvalidStatus) as refusal:
                async with connect(relay.ws + path, additional_headers=headers):
                    pass
            assert refusal.value.response.status_code == 503
            assert int(refusal.value.response.headers["Retry-After"]) > 0
            await say(first, "response.create")
            await said(first, "response.created")

    with_relay(tmp_path, scenario, "[server]\nmax_sessions = 1\n")


@pytest.mark.parametrize("path", ["/v1/realtime", "/v4/ai/realtime-model"])
def test_request_without_upgrade_is_told_what_this_is(tmp_path: Path, path: str) -> None:
    async def scenario(relay: Relay) -> None:
        status, headers, body = await get(relay, path)
        assert status == 426
        assert headers["Upgrade"] == "websocket"
        assert body["error"]["message"]

    with_relay(tmp_path, scenario)


def test_model_that_cannot_be_reached_is_a_typed_error_and_the_right_code(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai("gone/any") as socket:
            error = await said(socket, "error")
            assert error["error"]["message"]
            await socket.wait_closed()
            assert socket.close_code == 1014

    with_relay(tmp_path, scenario, f'[providers.gone]\nbase_url = "http://127.0.0.1:{free_port()}/v1"\n')


@pytest.mark.parametrize(("path", "headers"), [
    ("/v1/realtime?model=local/agent", f"Authorization: Bearer {KEY}\r\n"),
    ("/v4/ai/realtime-model?ai-model-id=local/agent",
     f"Sec-WebSocket-Protocol: ai-gateway-realtime.v1, ai-gateway-auth.{KEY}\r\n"),
])
def test_caller_that_hangs_up_while_being_let_in_gives_its_place_back_and_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, path: str, headers: str
) -> None:
    async def scenario(relay: Relay) -> None:
        entered = asyncio.Event()

        async def admit(house: House, request: web.Request, model: str) -> doors.Visit:
            entered.set()
            while request.transport is not None:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            return await let_in(house, request, model)

        let_in = doors._admit
        monkeypatch.setattr(doors, "_admit", admit)
        _, writer = await asyncio.open_connection("127.0.0.1", relay.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n{headers}\r\n"
                     .encode())
        async with asyncio.timeout(2):
            await entered.wait()
            assert relay.house.admission.sessions == 1
            writer.transport.abort()
            while relay.house.admission.sessions:  # noqa: ASYNC110
                await asyncio.sleep(0.001)

    with_relay(tmp_path, scenario)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
