"""The doors, over real HTTP on a loopback port; the OpenAI one also with the official client."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from relay import limits
from relay.config import Config, ServerSettings, TokenSettings
from relay.errors import CallerError, UnknownModel
from token_service import policy, tokens
from token_service.doors import OPENAI_DEFAULT_S, routes
from token_service.service import TokenService
from token_service.tokens import BadToken, Claims

KEY = "rk_canary-5f0c1e"
BEARER = {"Authorization": f"Bearer {KEY}"}
NOW = 1_700_000_000.0
APP = "https://app.example"

Client = TestClient[web.Request, web.Application]
Act = Callable[[Client, TokenService], Awaitable[Any]]


def resolve(model: str) -> str:
    if model == "nobody/knows":
        raise UnknownModel("There is no model of this name.", param=model)
    return policy.qualified(model)


def at_the_doors(
    tmp_path: Path, act: Act, settings: Mapping[str, Any] | None = None, server: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Any:
    """Run `act` with a client of a served token service."""
    config = Config(
        server=ServerSettings(**{"data_dir": tmp_path, "keys": (policy.hash_of(KEY),), **(server or {})}),
        tokens=TokenSettings(**{"setup_origins": (APP,), "setup_model": "agent/demo", **(settings or {})}),
    )

    async def run() -> Any:
        app = web.Application()
        listening = TestServer(app)
        opened = TokenService.open(config, port=0)
        service = replace(opened, **{"resolve": resolve, "clock": lambda: NOW, **changes})
        app.add_routes(routes(service))
        with closing(service):
            async with TestClient(listening) as client:
                service.origins = policy.Origins.of(config, listening.port or 0)
                return await act(client, service)

    return asyncio.run(run())


def read(service: TokenService, token: str) -> Claims:
    return tokens.verify(token, service.keys.find, issuer="voice-relay", audience="voice-relay", now=NOW)


async def error_of(response: ClientResponse) -> tuple[int, str, str, Any]:
    """(status, type, code, param) of a refusal, which has to have the whole shape."""
    body = await response.json()
    assert set(body) == {"error"}
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert body["error"]["message"]
    return response.status, body["error"]["type"], body["error"]["code"], body["error"]["param"]


# --- AI SDK


def test_gateway_mint_gives_a_single_use_token_for_the_named_surface_and_model(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> None:
        for kind, surface in ((None, "realtime"), ("speech", "speech"), ("transcription", "transcription")):
            body = {"model": "gpt-realtime"} | ({"routeKind": kind} if kind else {})
            response = await client.post("/v1/realtime/client-secrets", json=body, headers=BEARER)
            answer = await response.json()
            said = read(service, answer["token"])
            assert response.status == 200
            assert response.headers["Cache-Control"] == "no-store"
            assert re.fullmatch(r"vcst_[A-Za-z0-9!#$%&'*+.^_`|~-]+", answer["token"])
            assert (answer["expiresAt"], answer["id"]) == (NOW + limits.TOKEN_DEFAULT_LIFE_S, said.jti)
            assert (said.surface, said.model, said.single_use) == (surface, "openai/gpt-realtime", True)
            assert said.sub == "key_" + policy.hash_of(KEY)[7:19]

    at_the_doors(tmp_path, act)


def test_gateway_mint_clamps_a_longer_life(tmp_path: Path) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        for wished, given in ((600, 300), (20, 20), (299.9, 299)):
            body = {"model": "m", "expiresIn": wished}
            answer = await (await client.post("/v1/realtime/client-secrets", json=body, headers=BEARER)).json()
            assert answer["expiresAt"] == NOW + given

    at_the_doors(tmp_path, act)


def test_gateway_mint_takes_our_own_members(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> None:
        body = {"model": "agent/demo", "maxSeconds": 90, "origins": [APP], "metadata": {"user": "7"},
                "session": {"voice": "a"}, "singleUse": False}
        answer = await (await client.post("/v1/realtime/client-secrets", json=body, headers=BEARER)).json()
        said = read(service, answer["token"])
        assert (said.max_s, said.origins, said.metadata, said.session, said.single_use) == (
            90, (APP,), {"user": "7"}, {"voice": "a"}, False)

    at_the_doors(tmp_path, act)


@pytest.mark.parametrize("body", [
    b"", b"{", b"[]", b'"text"', b"{}", b'{"model": ""}', b'{"model": 7}', b'{"model": null}',
    b'{"model": "m", "routeKind": "phone"}', b'{"model": "m", "routeKind": []}', b'{"model": "m", "expiresIn": "60"}',
    b'{"model": "m", "expiresIn": 0}', b'{"model": "m", "expiresIn": -1}', b'{"model": "m", "expiresIn": true}',
    b'{"model": "m", "maxSeconds": 0}', b'{"model": "m", "session": []}', b'{"model": "m", "origins": "x"}',
    b'{"model": "m", "metadata": {"a": 1}}', b'{"model": "m", "singleUse": 1}', b"\xff",
    b'{"model": "m", "session": {"a": ' + b"[" * 100 + b"]" * 100 + b"}}", b"[" * 20_000,
])  # fmt: skip
def test_gateway_mint_refuses_a_bad_body(tmp_path: Path, body: bytes) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        response = await client.post("/v1/realtime/client-secrets", data=body, headers=BEARER)
        assert (await error_of(response))[:2] == (400, "invalid_request_error")

    at_the_doors(tmp_path, act)


def test_gateway_mint_names_an_unknown_model(tmp_path: Path) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        response = await client.post("/v1/realtime/client-secrets", json={"model": "nobody/knows"}, headers=BEARER)
        refused = (404, "model_not_found", "model_not_found", {"modelId": "nobody/knows"})
        assert await error_of(response) == refused

    at_the_doors(tmp_path, act)


# --- OpenAI


def test_openai_mint_without_a_body_asks_for_600_s_and_gets_the_cap(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> None:
        response = await client.post("/v1/realtime/client_secrets", headers=BEARER)
        answer = await response.json()
        said = read(service, answer["value"])
        assert OPENAI_DEFAULT_S == 600
        assert answer["value"].startswith("ek_")
        assert answer["expires_at"] == NOW + limits.TOKEN_MAX_LIFE_S
        assert (answer["session"]["object"], answer["session"]["type"]) == ("realtime.session", "realtime")
        assert answer["session"]["id"].startswith("sess_")
        assert (said.surface, said.model, said.single_use) == ("realtime", "", False)

    at_the_doors(tmp_path, act)


@pytest.mark.parametrize(("seconds", "given"), [(10, 10), (120, 120), (300, 300), (7200, 300)])
def test_openai_life_within_the_protocols_bounds_is_clamped(tmp_path: Path, seconds: int, given: int) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        body = {"expires_after": {"anchor": "created_at", "seconds": seconds}}
        answer = await (await client.post("/v1/realtime/client_secrets", json=body, headers=BEARER)).json()
        assert answer["expires_at"] == NOW + given

    at_the_doors(tmp_path, act)


@pytest.mark.parametrize(("body", "code", "param"), [
    ({"expires_after": {"anchor": "created_at", "seconds": 9}}, "invalid_value", "expires_after.seconds"),
    ({"expires_after": {"anchor": "created_at", "seconds": 7201}}, "invalid_value", "expires_after.seconds"),
    ({"expires_after": {"anchor": "created_at", "seconds": 60.5}}, "invalid_value", "expires_after.seconds"),
    ({"expires_after": {"anchor": "created_at", "seconds": True}}, "invalid_value", "expires_after.seconds"),
    ({"expires_after": {"anchor": "now", "seconds": 60}}, "invalid_value", "expires_after.anchor"),
    ({"expires_after": {"seconds": 60}}, "missing_required_parameter", "expires_after.anchor"),
    ({"expires_after": 60}, "invalid_type", "expires_after"),
    ({"session": "text"}, "invalid_type", "session"),
    ({"session": {}}, "missing_required_parameter", "session.type"),
    ({"session": {"type": "translation"}}, "invalid_value", "session.type"),
    ({"session": {"type": "realtime", "model": 7}}, "invalid_type", "session.model"),
    ({"session": {"type": "transcription", "audio": {"input": {"transcription": {"model": 7}}}}}, "invalid_type",
     "session.audio.input.transcription.model"),
    ({"voice": "marin"}, "unknown_parameter", "voice"),
])  # fmt: skip
def test_openai_mint_names_what_is_wrong(tmp_path: Path, body: Any, code: str, param: str) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        response = await client.post("/v1/realtime/client_secrets", json=body, headers=BEARER)
        assert await error_of(response) == (400, "invalid_request_error", code, param)

    at_the_doors(tmp_path, act)


def test_openai_transcription_session_gives_a_token_of_that_surface_and_model(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> None:
        session = {"type": "transcription", "audio": {"input": {"transcription": {"model": "local/sphinx"}}}}
        body = {"session": session}
        answer = await (await client.post("/v1/realtime/client_secrets", json=body, headers=BEARER)).json()
        said = read(service, answer["value"])
        assert (said.surface, said.model, said.session) == ("transcription", "local/sphinx", session)
        assert answer["session"]["object"] == "realtime.transcription_session"

    at_the_doors(tmp_path, act)


def test_openai_single_use_follows_the_configuration(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> bool:
        answer = await (await client.post("/v1/realtime/client_secrets", headers=BEARER)).json()
        return read(service, answer["value"]).single_use

    assert at_the_doors(tmp_path, act, {"openai_single_use": True})


def test_openai_answer_is_what_the_dialect_describes_and_its_refusal_is_the_callers(tmp_path: Path) -> None:
    def describe(session: Mapping[str, Any], model: str) -> dict[str, Any]:
        if session.get("voice") == "nobody":
            raise CallerError("There is no such voice.", code="invalid_value", param="session.voice")
        return {"type": "realtime", "model": model, "voice": "marin", "expires_at": 0}

    async def act(client: Client, _service: TokenService) -> None:
        body = {"session": {"type": "realtime", "model": "gpt-realtime"}}
        answer = await (await client.post("/v1/realtime/client_secrets", json=body, headers=BEARER)).json()
        assert {**answer["session"], "id": ""} == {
            "type": "realtime", "object": "realtime.session", "id": "", "model": "openai/gpt-realtime",
            "voice": "marin", "expires_at": 0}
        wrong = {"session": {"type": "realtime", "voice": "nobody"}}
        response = await client.post("/v1/realtime/client_secrets", json=wrong, headers=BEARER)
        assert await error_of(response) == (400, "invalid_request_error", "invalid_value", "session.voice")

    at_the_doors(tmp_path, act, describe_session=describe)


def test_official_openai_client_mints_and_reads_refusals(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> None:
        base = str(client.make_url("/v1"))
        async with openai.AsyncOpenAI(api_key=KEY, base_url=base, max_retries=0) as sdk:
            secret = await sdk.realtime.client_secrets.create(
                expires_after={"anchor": "created_at", "seconds": 600},
                session={"type": "realtime", "model": "local/agent", "instructions": "Be brief. " * 900},
            )
            with pytest.raises(openai.NotFoundError):
                await sdk.realtime.client_secrets.create(session={"type": "realtime", "model": "nobody/knows"})
        async with openai.AsyncOpenAI(api_key="rk_wrong", base_url=base, max_retries=0) as sdk:
            with pytest.raises(openai.AuthenticationError):
                await sdk.realtime.client_secrets.create()

        said = read(service, secret.value)
        assert secret.session.type == "realtime"
        assert (said.model, said.exp) == ("local/agent", secret.expires_at)
        assert "Be brief." in (service.store.pinned(said.session_ref) or "")

    at_the_doors(tmp_path, act)


# --- Keys, bodies, revocation, JWKS


@pytest.mark.parametrize("headers", [
    {}, {"Authorization": "Bearer rk_wrong"}, {"Authorization": f"Basic {KEY}"}, {"Authorization": "Bearer"},
    {"Authorization": KEY}, {"Cookie": f"key={KEY}"},
])  # fmt: skip
def test_doors_with_a_key_are_closed_without_it(tmp_path: Path, headers: dict[str, str]) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        gateway = await client.post("/v1/realtime/client-secrets", json={"model": "m"}, headers=headers)
        openai_ = await client.post("/v1/realtime/client_secrets", headers=headers)
        revoke = await client.delete("/v1/realtime/tokens/tok_" + "0" * 32, headers=headers)
        assert (await error_of(gateway))[:3] == (401, "authentication_error", "invalid_api_key")
        assert (await error_of(openai_))[:3] == (401, "invalid_request_error", "invalid_api_key")
        assert revoke.status == 401

    at_the_doors(tmp_path, act)


def test_minted_token_is_no_key_to_mint_more(tmp_path: Path) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        value = (await (await client.post("/v1/realtime/client_secrets", headers=BEARER)).json())["value"]
        again = await client.post("/v1/realtime/client_secrets", headers={"Authorization": f"Bearer {value}"})
        assert again.status == 401

    at_the_doors(tmp_path, act)


def test_body_beyond_the_bound_is_413_and_the_next_request_is_served(tmp_path: Path) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        big = b" " * (limits.MAX_MINT_BODY_BYTES + 1)
        response = await client.post("/v1/realtime/client-secrets", data=big, headers=BEARER)
        assert (await error_of(response))[:3] == (413, "invalid_request_error", "too_large")
        assert (await client.post("/v1/realtime/client_secrets", headers=BEARER)).status == 200

    at_the_doors(tmp_path, act)


def test_body_that_does_not_come_is_408(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "HANDSHAKE_DEADLINE_S", 0.01)

    async def act(client: Client, _service: TokenService) -> None:
        reader, writer = await asyncio.open_connection(client.host, client.port)
        writer.write(f"POST /v1/realtime/client-secrets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\n"
                     "Content-Length: 10\r\n\r\n{".encode())
        assert b" 408 " in await reader.readline()
        writer.close()
        await writer.wait_closed()

    at_the_doors(tmp_path, act)


def test_revoked_token_is_refused_afterwards(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> None:
        body = {"model": "m", "singleUse": False}
        minted = await (await client.post("/v1/realtime/client-secrets", json=body, headers=BEARER)).json()
        said = read(service, minted["token"])
        service.store.redeem(said, NOW)

        response = await client.delete(f"/v1/realtime/tokens/{minted['id']}", headers=BEARER)

        assert await response.json() == {"id": minted["id"], "revoked": True}
        with pytest.raises(BadToken):
            service.store.redeem(said, NOW)

    at_the_doors(tmp_path, act)


@pytest.mark.parametrize("jti", ["tok_1", "sig_0000000000000000", "key_dev", "x"])
def test_only_single_tokens_can_be_revoked_over_http(tmp_path: Path, jti: str) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        response = await client.delete(f"/v1/realtime/tokens/{jti}", headers=BEARER)
        assert await error_of(response) == (400, "invalid_request_error", "invalid_value", "jti")

    at_the_doors(tmp_path, act)


def test_jwks_shows_public_keys_only_old_and_new(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> None:
        service.keys.rotate(NOW)
        keys = (await (await client.get("/.well-known/jwks.json")).json())["keys"]
        assert len(keys) == 2
        assert all(set(key) == {"kty", "crv", "x", "kid", "alg", "use"} for key in keys)

    at_the_doors(tmp_path, act)


# --- The hook's setup door


def test_setup_answers_a_configured_origin_with_token_and_socket(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> None:
        body = {"sessionConfig": {"voice": "a"}}
        response = await client.post("/v1/realtime/setup", json=body, headers={"Origin": APP})
        answer = await response.json()
        said = read(service, answer["token"])
        assert response.headers["Access-Control-Allow-Origin"] == APP
        assert response.headers["Vary"] == "Origin"
        assert "Access-Control-Allow-Credentials" not in response.headers
        assert set(answer) == {"token", "url", "expiresAt"}
        assert answer["url"] == f"ws://{client.host}:{client.port}/v4/ai/realtime-model?ai-model-id=agent%2Fdemo"
        assert (said.model, said.origins, said.single_use, said.sub) == ("agent/demo", (APP,), True, "key_setup")

    at_the_doors(tmp_path, act)


def test_setup_url_is_the_public_one_when_there_is_one(tmp_path: Path) -> None:
    async def act(client: Client, _service: TokenService) -> str:
        response = await client.post("/v1/realtime/setup", json={}, headers={"Origin": APP})
        return str((await response.json())["url"])

    url = at_the_doors(tmp_path, act, server={"public_url": "https://voice.example/relay/"})
    assert url == "wss://voice.example/relay/v4/ai/realtime-model?ai-model-id=agent%2Fdemo"


def test_setup_preflight_allows_json_posts_of_configured_origins(tmp_path: Path) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        allowed = await client.options("/v1/realtime/setup", headers={"Origin": APP})
        refused = await client.options("/v1/realtime/setup", headers={"Origin": "https://evil.example"})
        assert (allowed.status, allowed.headers["Access-Control-Allow-Origin"]) == (204, APP)
        assert allowed.headers["Access-Control-Allow-Headers"] == "content-type"
        assert refused.status == 403
        assert "Access-Control-Allow-Origin" not in refused.headers

    at_the_doors(tmp_path, act)


@pytest.mark.parametrize("headers", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"},
                                     {"Origin": "http://127.0.0.1:1"}, {"Origin": APP.upper()}, BEARER])
def test_setup_is_closed_to_other_origins(tmp_path: Path, headers: dict[str, str]) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        response = await client.post("/v1/realtime/setup", json={}, headers=headers)
        assert (await error_of(response))[:3] == (403, "forbidden", "origin_refused")
        assert "Access-Control-Allow-Origin" not in response.headers

    at_the_doors(tmp_path, act)


def test_setup_gives_foreign_pages_the_configured_model_only(tmp_path: Path) -> None:
    async def ask(client: Client, query: str) -> tuple[int, str]:
        response = await client.post(f"/v1/realtime/setup{query}", json={}, headers={"Origin": APP})
        return response.status, str(response.headers.get("Access-Control-Allow-Origin"))

    async def act(client: Client, _service: TokenService) -> None:
        assert await ask(client, "?model=agent/demo") == (200, APP)
        assert await ask(client, "?model=openai/gpt-realtime-2") == (403, APP)

    async def act_without(client: Client, _service: TokenService) -> None:
        assert await ask(client, "?model=agent/demo") == (403, APP)

    at_the_doors(tmp_path, act)
    at_the_doors(tmp_path, act_without, {"setup_model": None})


def test_setup_lets_the_own_playground_choose(tmp_path: Path) -> None:
    async def act(client: Client, service: TokenService) -> None:
        headers = {"Origin": f"http://{client.host}:{client.port}"}
        chosen = await client.post("/v1/realtime/setup?model=local/agent", json={}, headers=headers)
        unknown = await client.post("/v1/realtime/setup?model=nobody/knows", json={}, headers=headers)
        default = await client.post("/v1/realtime/setup", headers=headers)
        proxied = await client.post("/v1/realtime/setup", headers={**headers, "X-Forwarded-For": "203.0.113.9"})
        assert read(service, (await chosen.json())["token"]).model == "local/agent"
        assert read(service, (await default.json())["token"]).model == "agent/demo"
        assert (await error_of(unknown))[:2] == (404, "model_not_found")
        assert proxied.status == 403

    at_the_doors(tmp_path, act)


def test_setup_beyond_the_rate_is_429_with_the_time_to_wait(tmp_path: Path) -> None:
    async def act(client: Client, _service: TokenService) -> None:
        got = [await client.post("/v1/realtime/setup", headers={"Origin": APP}) for _ in range(3)]
        assert [each.status for each in got] == [200, 200, 429]
        assert (await error_of(got[2]))[:2] == (429, "rate_limit_exceeded")
        assert got[2].headers["Retry-After"] == "30"
        assert got[2].headers["Access-Control-Allow-Origin"] == APP

    at_the_doors(tmp_path, act, {"mints_per_minute": 2})


def test_nothing_secret_is_logged_or_sent_back(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    canary = "canary-91ab"

    async def act(client: Client, _service: TokenService) -> str:
        body = {"model": "m", "session": {"instructions": canary}, "metadata": {"user": canary}}
        good = await (await client.post("/v1/realtime/client-secrets", json=body, headers=BEARER)).json()
        for wrong in ({"model": 7, canary: canary}, {"expires_after": {"anchor": canary}}):
            for path in ("/v1/realtime/client-secrets", "/v1/realtime/client_secrets"):
                assert canary not in (await (await client.post(path, json=wrong, headers=BEARER)).text()).replace(
                    f"Unknown parameter: '{canary}'", "")
        refused = await client.post("/v1/realtime/client-secrets", headers={"Authorization": f"Bearer {canary}"})
        assert canary not in await refused.text()
        return str(good["token"])

    token = at_the_doors(tmp_path, act)
    for secret in (canary, KEY, token, token.removeprefix("vcst_")):
        assert secret not in caplog.text
