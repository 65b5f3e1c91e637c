"""A call with a hostile or unlucky peer on either side: it ends in the right words, alone, and leaves nothing behind.

Every scenario runs against a whole relay; `with_relay` checks that engines, counts and tasks are given back.
"""

from __future__ import annotations

import asyncio
import base64
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode

from relay import limits
from relay.commands import FlushCaller
from relay.errors import CloseReason
from relay.events import LegClosed
from relay.net.pump import Call
from tests.fakes.raw_peer import raw_peer
from tests.fakes.running_relay import KEY, Relay, free_port, said, say, with_relay

AUTHORIZED = f"Authorization: Bearer {KEY}\r\n"
OPENAI = "/v1/realtime?model=local/agent"
PORT = free_port()
"""Of a model that is not the simulated one."""


async def code_of(socket: Any) -> int:
    """Read on until the socket ends; its close code."""
    async with asyncio.timeout(3):
        try:
            while True:
                await socket.recv()
        except ConnectionClosed as closed:
            return closed.rcvd.code if closed.rcvd else 1006


def the_call(relay: Relay) -> Call:
    (call,) = relay.house.calls
    return call


async def ends_within(relay: Relay, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await relay.house.empty.wait()


# --- the caller leaves


@pytest.mark.parametrize("model", ["local/agent", "sim/any"])
@pytest.mark.parametrize("how", ["close", "fin", "reset"])
def test_everything_is_released_within_a_second_of_the_caller_leaving(tmp_path: Path, model: str, how: str) -> None:
    async def scenario(relay: Relay) -> None:
        async with raw_peer(relay.port, f"/v1/realtime?model={model}", AUTHORIZED) as peer:
            await peer.frame()
            await peer.say(b'{"type":"response.create"}')
            await peer.frame()
            call = the_call(relay)
            if how == "close":
                await peer.say(b"\x03\xe8", 8)
            elif how == "fin":
                peer.writer.close()
            else:
                peer.reset()
            await ends_within(relay, 1)
            assert call.reason is CloseReason.CALLER_LEFT

    with_relay(tmp_path, scenario)


def test_caller_that_leaves_while_its_model_is_being_dialled_stops_the_dial(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            dialled.set()
            await reader.read()  # the upgrade, and then the end
            await reader.read()
            writer.close()
            gone.set()

        dialled, gone = asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(accept, "127.0.0.1", PORT)
        async with relay.openai("slow/any"):
            await dialled.wait()
        await ends_within(relay, 1)
        async with asyncio.timeout(1):
            await gone.wait()
        server.close()

    with_relay(tmp_path, scenario, f'[providers.slow]\nbase_url = "http://127.0.0.1:{PORT}/v1"\n')


def test_tool_that_still_runs_when_the_caller_leaves_is_stopped(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            asked.set()
            await reader.read()
            writer.close()
            stopped.set()

        asked, stopped = asyncio.Event(), asyncio.Event()
        server = await asyncio.start_server(hang, "127.0.0.1", PORT)
        async with relay.openai("agent/helper") as socket:
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "use the tool"}]}
            await say(socket, "conversation.item.create", item=item)
            await say(socket, "response.create")
            async with asyncio.timeout(2):
                await asked.wait()
        async with asyncio.timeout(1):
            await stopped.wait()
        server.close()

    with_relay(tmp_path, scenario, f"""
[tools.look]
url = "http://127.0.0.1:{PORT}/"
[agents.helper]
model = "sim/any"
tools = ["look"]
""")


# --- the caller does not read


def test_caller_that_stops_reading_is_dropped_at_the_write_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "WRITE_DEADLINE_S", 0.1)
    monkeypatch.setattr(limits, "TICK_S", 0.02)

    async def scenario(relay: Relay) -> None:
        async with raw_peer(relay.port, "/v1/realtime?model=sim/any", AUTHORIZED, small=True) as peer:
            await peer.frame()
            call = the_call(relay)
            for _ in range(200):
                call.outbox.send(bytes(10_000))
            await ends_within(relay, 2)
            assert call.reason in (CloseReason.CALLER_STALLED, CloseReason.SLOW_CALLER)
            assert call.outbox.waiting_bytes == 0

    with_relay(tmp_path, scenario)


def test_model_is_not_read_while_its_caller_does_not_keep_up(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai("sim/any") as socket:
            await said(socket, "session.created")
            call = the_call(relay)
            call.outbox._on_full(True)
            await say(socket, "response.create")
            await asyncio.sleep(0.05)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.05)
            call.outbox._on_full(False)
            await said(socket, "response.output_audio.delta")

    with_relay(tmp_path, scenario)


def test_caller_is_not_read_while_its_model_does_not_keep_up(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai("sim/any") as socket:
            await said(socket, "session.created")
            outbox = the_call(relay)._leg.outbox  # type: ignore[union-attr]
            outbox._on_full(True)
            await say(socket, "response.create")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.recv(), 0.05)
            outbox._on_full(False)
            await said(socket, "response.created")

    with_relay(tmp_path, scenario)


def test_audio_that_is_taken_back_does_not_wait_any_more(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with raw_peer(relay.port, "/v1/realtime?model=sim/any", AUTHORIZED, small=True) as peer:
            await peer.frame()
            call = the_call(relay)
            while not call.outbox.waiting_bytes:
                call.outbox.send(bytes(10_000))
            call.outbox.send(b"x", audio_ms=20.0, response_id="r")
            call._flush_caller(FlushCaller("r"))
            assert call.outbox.waiting_ms == 0.0
            call.abort()

    with_relay(tmp_path, scenario)


# --- the caller says what it should not


@pytest.mark.parametrize("frame", [
    b"{", b"[]", b"null", b'{"type":"nonsense"}', b"\xff\xfe", b'{"type":7}', b"[" * 9_999])
def test_bad_frame_is_answered_with_an_error_and_the_session_lives(tmp_path: Path, frame: bytes) -> None:
    async def scenario(relay: Relay) -> None:
        async with raw_peer(relay.port, OPENAI, AUTHORIZED) as peer:
            await peer.frame()
            await peer.say(frame)
            types = []
            while "error" not in types:
                types.append(orjson.loads((await peer.frame())[1])["type"])
            await peer.say(b'{"type":"response.create"}')
            while "response.created" not in types:
                types.append(orjson.loads((await peer.frame())[1])["type"])

    with_relay(tmp_path, scenario)


def test_bad_frames_without_end_close_the_session(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai() as socket:
            await said(socket, "session.created")
            for _ in range(limits.MAX_BAD_FRAMES + 1):
                await socket.send("{")
            assert await code_of(socket) == 1008

    with_relay(tmp_path, scenario)


def test_message_that_is_too_large_ends_only_its_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MESSAGE_BYTES", 10_000)

    async def scenario(relay: Relay) -> None:
        async with relay.openai() as other, relay.openai() as socket:
            await said(socket, "session.created")
            await socket.send("x" * 10_001)
            assert await code_of(socket) == 1009
            await said(other, "session.created")
            await say(other, "response.create")
            await said(other, "response.created")

    with_relay(tmp_path, scenario)


def test_microphone_at_many_times_real_time_is_stalled_then_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_AUDIO_BURST_S", 1.0)
    monkeypatch.setattr(limits, "TOO_FAST_GRACE_S", 0.2)
    frame = orjson.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(bytes(9_600)).decode()})

    async def scenario(relay: Relay) -> None:
        async with relay.openai() as socket:
            await said(socket, "session.created")

            async def pour() -> None:
                while True:
                    await socket.send(frame.decode())

            pouring = asyncio.ensure_future(pour())
            assert await code_of(socket) == 1008
            pouring.cancel()
            await asyncio.gather(pouring, return_exceptions=True)

    with_relay(tmp_path, scenario)


def test_ai_sdk_caller_without_settings_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SETUP_DEADLINE_S", 0.1)

    async def scenario(relay: Relay) -> None:
        async with relay.gateway() as socket:
            assert await code_of(socket) == 1008

    with_relay(tmp_path, scenario)


# --- the model fails


def model(*frames: str, then: str) -> Any:
    """A model that says these frames, then ends in its own way: close, reset, garbage, huge."""
    from websockets.asyncio.server import ServerConnection, serve

    async def converse(socket: ServerConnection) -> None:
        for frame in frames:
            await socket.send(frame)
        if then == "close":
            await socket.close(1011, "internal")
        elif then == "reset":
            socket.transport.abort()
        elif then == "broken":
            socket.transport.write(bytes(Frame(Opcode.TEXT, b"x").serialize(mask=False)).replace(b"\x81", b"\xf1"))
            await socket.wait_closed()
        else:
            await socket.wait_closed()

    return serve(converse, "127.0.0.1", PORT, compression=None, ping_interval=None)


CREATED = '{"type":"session.created","event_id":"e","session":{"type":"realtime","id":"sess_x","model":"any"}}'


@pytest.mark.parametrize("then", ["close", "reset", "broken"])
def test_caller_is_told_within_a_second_that_its_model_is_gone(tmp_path: Path, then: str) -> None:
    async def scenario(relay: Relay) -> None:
        async with model(CREATED, then=then):
            started = time.monotonic()
            async with relay.openai("slow/any") as socket:
                await said(socket, "error")
                assert await code_of(socket) == 1014
            assert time.monotonic() - started < 2

    with_relay(tmp_path, scenario, f'[providers.slow]\nbase_url = "http://127.0.0.1:{PORT}/v1"\n')


@pytest.mark.parametrize("frames", [(), ('{"type":"rate_limits.updated","rate_limits":[]}',)])
def test_model_that_never_opens_its_session_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: tuple[str, ...]
) -> None:
    monkeypatch.setattr(limits, "FIRST_EVENT_DEADLINE_S", 0.1)

    async def scenario(relay: Relay) -> None:
        async with model(*frames, then="silence"), relay.openai("slow/any") as socket:
            assert await code_of(socket) == 1014

    with_relay(tmp_path, scenario, f'[providers.slow]\nbase_url = "http://127.0.0.1:{PORT}/v1"\n')


def test_audio_from_the_first_byte_reaches_a_model_that_is_dialled_slowly(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        from websockets.asyncio.server import ServerConnection, serve

        async def converse(socket: ServerConnection) -> None:
            await socket.send(CREATED)
            async for frame in socket:
                if b"append" in (message := frame.encode() if isinstance(frame, str) else frame):
                    heard.append(orjson.loads(message)["audio"])

        async def late(_connection: Any, _request: Any) -> None:
            await asyncio.sleep(0.15)

        heard: list[str] = []
        spoken = [base64.b64encode(bytes([n]) * 960).decode() for n in range(20)]
        server = await serve(converse, "127.0.0.1", PORT, compression=None, process_request=late)
        async with relay.openai("slow/any") as socket:
            for audio in spoken:
                await say(socket, "input_audio_buffer.append", audio=audio)
            async with asyncio.timeout(2):
                while len(heard) < 20:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        assert heard == spoken
        server.close()
        await server.wait_closed()

    with_relay(tmp_path, scenario, f'[providers.slow]\nbase_url = "http://127.0.0.1:{PORT}/v1"\n')


# --- we fail


def test_fault_of_ours_ends_that_call_with_1011_and_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai() as socket:
            await said(socket, "session.created")
            broken = the_call(relay)
            async with relay.openai() as other:
                await said(other, "session.created")

                def fail(event: Any, now: float) -> Any:
                    raise ZeroDivisionError("what a peer said")

                broken._session.handle = fail  # type: ignore[method-assign]
                await say(socket, "input_audio_buffer.clear")
                assert await code_of(socket) == 1011
                await say(other, "response.create")
                await said(other, "response.created")

    with_relay(tmp_path, scenario)
    (record,) = [record for record in caplog.records if record.getMessage() == "call failed"]
    assert record.__dict__["error"] == "ZeroDivisionError"
    assert "peer" not in str(record.__dict__)


def test_fault_of_ours_while_dialling_ends_that_call_with_1011(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        relay.house.engines = None  # type: ignore[assignment]
        async with relay.openai() as socket:
            assert await code_of(socket) == 1011

    with_relay(tmp_path, scenario)


def test_events_after_the_end_are_ignored(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai() as socket:
            await said(socket, "session.created")
            call = the_call(relay)
            call.end(CloseReason.DONE)
            call.end(CloseReason.INTERNAL)
            call.happened(LegClosed("model", 1006))
            assert call.reason is CloseReason.DONE
            assert await code_of(socket) == 1000

    with_relay(tmp_path, scenario)


def test_revoked_grant_ends_the_call_with_1008(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai() as socket, relay.openai() as other:
            await said(socket, "session.created")
            call, grant = next(iter(relay.house.calls.items()))
            relay.house.revoke({grant.identity.id: grant.issued_at})
            assert call.reason is CloseReason.REVOKED
            assert await code_of(socket) == 1008
            assert await code_of(other) == 1008

    with_relay(tmp_path, scenario)
