"""Dialling a model: every way in which it can fail has its own words, and nothing is left open."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

import pytest

from relay import limits
from relay.dialects.openai_realtime import OpenAIModel
from relay.errors import ModelError
from relay.events import AudioAppended, Event, LegClosed, SessionOpened
from relay.net.line import Line
from relay.net.upstream import SocketLeg, client_session, dial, refusal
from relay.providers.base import SecretHeaders, Target
from tests.fakes.running_relay import free_port
from tests.fakes.scripted_line import ScriptedLine

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def failure(url: str) -> ModelError:
    async with client_session() as pool:
        with pytest.raises(ModelError) as failed:
            await dial(pool, Target(model="x/y", leg="socket", url=url, headers=SecretHeaders({"Authorization": "s"})))
        return failed.value


async def failure_of(answer: Answer, tls: ssl.SSLContext | None = None) -> ModelError:
    """How a dial fails whose upgrade is answered like this."""
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls)
    try:
        port = server.sockets[0].getsockname()[1]
        return await failure(f"{'wss' if tls else 'ws'}://127.0.0.1:{port}/realtime")
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.sleep(0.01)  # the server's side of a failed TLS handshake is closed in a later turn of the loop


@pytest.mark.parametrize(("status", "code", "retryable"), [
    (401, "model_unauthorized", False), (403, "model_unauthorized", False), (404, "model_not_found", False),
    (429, "rate_limit_exceeded", True), (408, "model_unavailable", True), (400, "model_unavailable", False),
    (500, "model_unavailable", True), (503, "model_unavailable", True), (302, "model_unavailable", False),
])
def test_status_in_place_of_the_upgrade_says_whether_another_try_makes_sense(
    status: int, code: str, retryable: bool
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % status)
        writer.close()

    error = asyncio.run(failure_of(answer))
    assert (error.code, error.retryable) == (code, retryable)
    assert refusal(status).code == code


def test_nobody_there_is_worth_another_try() -> None:
    assert asyncio.run(failure(f"ws://127.0.0.1:{free_port()}/realtime")).retryable


def test_address_that_is_none_is_an_error_and_no_crash() -> None:
    assert asyncio.run(failure("ws://[/realtime")).code == "model_unavailable"


def test_silent_server_is_given_up_at_the_dial_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DIAL_DEADLINE_S", 0.05)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    error = asyncio.run(failure_of(answer))
    assert (error.code, error.retryable) == ("model_timeout", True)


def test_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=127.0.0.1", "-keyout", tmp_path / "key.pem", "-out", tmp_path / "cert.pem"],
                   check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    assert asyncio.run(failure_of(answer, context)).code == "tls"


def test_leg_reports_what_the_model_says_and_then_its_end() -> None:
    from websockets.asyncio.server import ServerConnection, serve

    async def scenario() -> None:
        async def converse(socket: ServerConnection) -> None:
            await socket.send('{"type":"session.created","session":{"type":"realtime","id":"s","model":"m"}}')
            received.append(await socket.recv())
            received.append(await socket.recv())
            await socket.close(1001)

        received: list[str | bytes] = []
        events: list[Event] = []
        ended = asyncio.Event()

        def sink(event: Event) -> None:
            events.append(event)
            if isinstance(event, LegClosed):
                ended.set()

        async with serve(converse, "127.0.0.1", 0) as server, client_session() as pool:
            port = next(iter(server.sockets)).getsockname()[1]
            target = Target(model="x/y", leg="socket", url=f"ws://127.0.0.1:{port}/realtime")
            leg = SocketLeg(await dial(pool, target), OpenAIModel(), sink, same=True)
            leg.start()
            leg.send(AudioAppended("AAAA", raw=b'{"as":"it came"}'))
            leg.send(AudioAppended("AAAA"))
            async with asyncio.timeout(2):
                await ended.wait()
            leg.close()
        assert isinstance(events[0], SessionOpened)
        assert events[-1] == LegClosed("model", 1001)
        assert received[0] == '{"as":"it came"}'
        assert '"input_audio_buffer.append"' in str(received[1])

    asyncio.run(scenario())


def test_closed_leg_is_silent_and_its_socket_goes() -> None:
    from websockets.asyncio.server import ServerConnection, serve

    async def scenario() -> None:
        async def converse(socket: ServerConnection) -> None:
            await socket.send('{"type":"session.created","session":{"type":"realtime","id":"s","model":"m"}}')
            await socket.wait_closed()
            gone.set_result(socket.close_code)

        gone: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        events: list[Event] = []
        async with serve(converse, "127.0.0.1", 0) as server, client_session() as pool:
            port = next(iter(server.sockets)).getsockname()[1]
            target = Target(model="x/y", leg="socket", url=f"ws://127.0.0.1:{port}/realtime")
            leg = SocketLeg(await dial(pool, target), OpenAIModel(), events.append)
            leg.start()
            leg.close()
            known = len(events)  # what came with the handshake, at most
            async with asyncio.timeout(1):
                assert await gone == 1000
        assert len(events) == known

    asyncio.run(scenario())


class SlowLine(ScriptedLine):
    """A socket that still takes bytes, slowly."""

    aborted = False

    def beat(self, now: float) -> None:
        """Nobody is silent here."""

    def abort(self) -> None:
        self.aborted = True


def test_leg_that_has_more_to_send_than_may_wait_stalls_the_caller_and_lives() -> None:
    async def scenario() -> None:
        line, told = SlowLine(room_for=0), list[bool]()
        leg = SocketLeg(cast(Line, line), OpenAIModel(), lambda event: None, same=True, on_full=told.append)
        for _ in range(2):
            leg.send(AudioAppended("", raw=bytes(2 * limits.MODEL_OUTBOX_BYTES)))
        leg.look(0.0)
        assert (line.aborted, told) == (False, [True])
        line.drain(2)
        while len(told) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0)
        assert told == [True, False]

    asyncio.run(scenario())
