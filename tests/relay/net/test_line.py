"""One open socket: what is delivered, what is answered, and every way in which it can end. Over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
import uvloop
from aiohttp import ClientSession, web

from relay import limits
from relay.net.line import Line
from relay.net.wire import BINARY, CLOSE, PING, PONG, close_payload, masked_frame
from tests.fakes.raw_peer import RawPeer, raw_peer

MAX_BYTES = 1_000


@pytest.fixture(autouse=True, params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every scenario runs on both loops; their transports differ."""
    monkeypatch.setitem(FACTORY, "loop", request.param)


FACTORY: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {}


def run(scenario: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=FACTORY["loop"]) as runner:
        runner.run(scenario)


class Ear:
    """What a line delivered."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.said: list[tuple[bytes, bool]] = []
        self.pings = 0
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.on_said: Callable[[bytes], None] = lambda frame: None

    def start(self) -> None:
        self.line.start(self._hear, self.ended.set_result, self._ping)

    def _hear(self, frame: bytes, binary: bool) -> None:
        self.said.append((frame, binary))
        self.on_said(frame)

    def _ping(self) -> None:
        self.pings += 1

    async def code(self) -> int:
        async with asyncio.timeout(2):
            return await self.ended


def with_line(scenario: Callable[[RawPeer, Ear], Awaitable[None]], **options: Any) -> None:
    """A raw peer, connected to a line of ours."""

    async def whole() -> None:
        ears: asyncio.Queue[Ear] = asyncio.Queue(maxsize=1)

        async def door(request: web.Request) -> web.StreamResponse:
            socket = web.WebSocketResponse(compress=False, decode_text=False, max_msg_size=MAX_BYTES)
            await socket.prepare(request)
            if options.get("too_late"):
                await until(lambda: request.transport is None)
            ear = Ear(Line(socket))
            ears.put_nowait(ear)
            if not (options.get("late") or options.get("too_late")):
                ear.start()
            await asyncio.wait([ear.ended])
            return socket

        app = web.Application()
        app.router.add_get("/", door)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        try:
            async with raw_peer(port, "/", small=options.get("small", False)) as peer:
                if options.get("too_late"):
                    peer.reset()
                ear = await asyncio.wait_for(ears.get(), 2)
                await scenario(peer, ear)
                ear.line.abort()
            await ear.code()
            await until(lambda: not runner.server.connections)  # the server was told, too
        finally:
            await runner.cleanup()

    run(whole())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(2):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


# --- messages


def test_text_and_binary_are_told_apart_and_text_is_bytes() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        await peer.say("é".encode())
        await peer.say(b"\0\1", BINARY)
        await until(lambda: len(ear.said) == 2)
        assert ear.said == [("é".encode(), False), (b"\0\1", True)]

    with_line(scenario)


def test_segments_of_one_byte_give_the_same_messages() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        for byte in masked_frame(b"first") + masked_frame(b"second"):
            await peer.send(bytes([byte]))
        await until(lambda: len(ear.said) == 2)
        assert [frame for frame, _ in ear.said] == [b"first", b"second"]

    with_line(scenario)


def test_fragments_are_one_message() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        first, last = bytearray(masked_frame(b"one ")), bytearray(masked_frame(b"message"))
        first[0], last[0] = 0x01, 0x80
        await peer.send(bytes(first + last))
        await until(lambda: bool(ear.said))
        assert ear.said == [(b"one message", False)]

    with_line(scenario)


def test_messages_before_the_start_are_kept_for_it() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        await peer.say(b"early")
        await asyncio.sleep(0.01)
        ear.start()
        await until(lambda: bool(ear.said))

    with_line(scenario, late=True)


def test_paused_line_delivers_nothing_until_it_is_resumed() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        ear.on_said = lambda frame: ear.line.pause(frame == b"stop")
        await peer.send(masked_frame(b"a") + masked_frame(b"stop") + masked_frame(b"b") + masked_frame(b"c"))
        await until(lambda: len(ear.said) == 2)
        await peer.say(b"d")
        await asyncio.sleep(0.01)
        assert len(ear.said) == 2
        ear.line.pause(False)
        await until(lambda: len(ear.said) == 5)
        assert [frame for frame, _ in ear.said] == [b"a", b"stop", b"b", b"c", b"d"]

    with_line(scenario)


def test_paused_line_makes_the_kernel_slow_the_peer_down() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        ear.line.pause(True)
        frame = masked_frame(bytes(900))

        async def pour() -> None:
            for _ in range(50_000):  # 45 MB
                await peer.send(frame)

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pour(), 0.2)
        ear.line.abort()

    with_line(scenario)


def test_ping_is_answered_and_told() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        await peer.say(b"are you there", PING)
        assert await peer.frame() == (PONG, b"are you there")
        assert ear.pings == 1
        assert not ear.said

    with_line(scenario)


def test_written_frames_arrive_in_order() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        for n in range(100):
            ear.line.write(b"%d" % n)
        assert [(await peer.frame())[1] for _ in range(100)] == [b"%d" % n for n in range(100)]
        await until(lambda: ear.line.is_idle)
        assert ear.line.taken_bytes == ear.line.written_bytes

    with_line(scenario)


# --- broken frames: the code that RFC 6455 wants, and nothing delivered


def header(*octets: int) -> bytes:
    return bytes(octets)


@pytest.mark.parametrize(("data", "code"), [
    pytest.param(header(0xC1, 0x80, 0, 0, 0, 0), 1002, id="rsv1 without an extension"),
    pytest.param(header(0xA1, 0x80, 0, 0, 0, 0), 1002, id="rsv2"),
    pytest.param(header(0x83, 0x80, 0, 0, 0, 0), 1002, id="reserved opcode"),
    pytest.param(header(0x8B, 0x80, 0, 0, 0, 0), 1002, id="reserved control opcode"),
    pytest.param(header(0x09, 0x80, 0, 0, 0, 0), 1002, id="fragmented control"),
    pytest.param(header(0x89, 0xFE, 0, 126, 0, 0, 0, 0) + bytes(126), 1002, id="control above 125"),
    pytest.param(header(0x80, 0x80, 0, 0, 0, 0), 1002, id="continuation of nothing"),
    pytest.param(header(0x81, 0xFF) + b"\x7f" + b"\xff" * 7 + bytes(4), 1009, id="length of 2^63-1"),
    pytest.param(masked_frame(bytes(MAX_BYTES + 1)), 1009, id="message above the limit"),
    pytest.param(masked_frame(close_payload(1000)[:1], CLOSE), 1002, id="close of one byte"),
    pytest.param(masked_frame(b"\x03\xed", CLOSE), 1002, id="close with a reserved code"),
    pytest.param(masked_frame(b"\x03\xe8\xff\xfe", CLOSE), 1007, id="close text that is not UTF-8"),
])
def test_broken_frame_ends_the_line_with_its_code(data: bytes, code: int) -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        await peer.send(data)
        assert await peer.close_code() == code
        assert await ear.code() == code
        assert not ear.said
        await peer.ended()

    with_line(scenario)


def test_message_before_a_broken_frame_is_still_delivered() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        await peer.send(masked_frame(b"good") + header(0xC1, 0x80, 0, 0, 0, 0))
        assert await peer.close_code() == 1002
        assert ear.said == [(b"good", False)]

    with_line(scenario)


# --- ends


@pytest.mark.parametrize(("payload", "code"), [(close_payload(1000), 1000), (close_payload(4321), 4321), (b"", 1005)])
def test_close_frame_is_answered_in_kind(payload: bytes, code: int) -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        await peer.say(payload, CLOSE)
        assert await peer.close_code() == code
        assert await ear.code() == code
        assert await peer.ended() == b""

    with_line(scenario)


def test_nothing_is_delivered_or_sent_after_the_close_frame() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        await peer.send(masked_frame(close_payload(1000), CLOSE) + masked_frame(b"late"))
        await ear.code()
        ear.line.write(b"late too")
        assert await peer.close_code() == 1000
        assert await peer.ended() == b""
        assert not ear.said

    with_line(scenario)


def test_peer_that_resets_is_gone_with_1006() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        peer.reset()
        assert await ear.code() == 1006

    with_line(scenario)


def test_peer_that_hangs_up_without_a_word_is_gone_with_1006() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        peer.writer.close()
        assert await ear.code() == 1006

    with_line(scenario)


def test_our_close_is_a_handshake_when_the_peer_plays_along() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        ear.line.close(1012, "restart", 5.0)
        opcode, payload = await peer.frame()
        assert (opcode, payload) == (CLOSE, close_payload(1012, "restart"))
        await peer.send(masked_frame(payload, CLOSE))
        assert await ear.code() == 1012
        assert await peer.ended() == b""

    with_line(scenario)


def test_our_close_does_not_wait_for_a_peer_that_is_silent() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        ear.line.close(1000, "", 0.02)
        assert await ear.code() == 1006

    with_line(scenario)


def test_messages_after_our_close_are_read_and_thrown_away() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        ear.line.pause(True)
        ear.line.close(1000, "", 5.0)
        await peer.send(masked_frame(b"late") + masked_frame(close_payload(1000), CLOSE))
        assert await ear.code() == 1000
        assert not ear.said

    with_line(scenario)


def test_end_before_the_start_is_told_at_the_start() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        peer.reset()
        await until(lambda: ear.line.is_closing)
        ear.start()
        assert await ear.code() == 1006

    with_line(scenario, late=True)


def test_line_that_is_made_after_the_peer_hung_up_ends_with_1006_and_is_gone() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        ear.start()
        assert await ear.code() == 1006
        async with asyncio.timeout(1):
            await ear.line.gone()
        ear.line.write(b"to nobody")
        assert ear.line.taken_bytes == 0

    with_line(scenario, too_late=True)


# --- silence and stuck peers


def test_silent_peer_is_pinged_and_given_up_without_an_answer() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        ear.line.beat(ear.line.heard_at + limits.HEARTBEAT_S - 0.1)
        ear.line.beat(ear.line.heard_at + limits.HEARTBEAT_S)
        assert await peer.frame() == (PING, b"")
        ear.line.beat(ear.line.heard_at + limits.HEARTBEAT_S * 1.5)
        assert await ear.code() == 1006

    with_line(scenario)


def test_peer_that_is_not_listened_to_is_not_silent() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        before = ear.line.heard_at
        ear.line.pause(True)
        ear.line.beat(before + limits.HEARTBEAT_S * 1.5)
        assert not ear.line.is_closing
        await asyncio.sleep(0.005)
        ear.line.pause(False)
        assert ear.line.heard_at > before

    with_line(scenario)


def test_pong_counts_as_a_sign_of_life() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        before = ear.line.heard_at
        await asyncio.sleep(0.005)
        await peer.say(b"", PONG)
        await until(lambda: ear.line.heard_at > before)

    with_line(scenario)


def test_line_has_no_room_while_the_peer_does_not_read() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        while ear.line.has_room:
            ear.line.write(bytes(10_000))
        await asyncio.sleep(0.02)
        assert not ear.line.is_idle
        assert ear.line.taken_bytes < ear.line.written_bytes
        waiting = asyncio.ensure_future(ear.line.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        while not waiting.done():
            async with asyncio.timeout(2):
                await peer.reader.read(65_536)
        assert ear.line.has_room

    with_line(scenario, small=True)


def test_waiting_for_room_ends_when_the_connection_does() -> None:
    async def scenario(peer: RawPeer, ear: Ear) -> None:
        while ear.line.has_room:
            ear.line.write(bytes(10_000))
        waiting = asyncio.ensure_future(ear.line.room())
        await asyncio.sleep(0)
        ear.line.abort()
        with pytest.raises(ConnectionError):
            await waiting
        with pytest.raises(ConnectionError):
            await ear.line.room()

    with_line(scenario, small=True)


# --- the client's side


def test_clients_line_takes_what_came_with_the_handshake_and_gives_its_connection_back() -> None:
    async def whole() -> None:
        async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            import base64
            import hashlib

            head = await reader.readuntil(b"\r\n\r\n")
            key = head.lower().split(b"sec-websocket-key: ")[1]
            key = head[len(head) - len(key):].split(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
                         b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n" + b"\x81\x05hello" + b"\x81\x06hal")
            await writer.drain()
            await asyncio.sleep(0.01)
            writer.write(b"ves")
            received.set_result(await reader.readexactly(6 + 2))
            writer.close()

        received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        server = await asyncio.start_server(upgrade, "127.0.0.1", 0)
        async with ClientSession() as session:
            port = server.sockets[0].getsockname()[1]
            ear = Ear(Line(await session.ws_connect(f"ws://127.0.0.1:{port}/", decode_text=False, compress=0)))
            ear.start()
            await until(lambda: len(ear.said) == 2)
            assert [frame for frame, _ in ear.said] == [b"hello", b"halves"]
            ear.line.write(b"hi")
            frame = await received
            assert frame[:2] == b"\x81\x82"
            assert bytes(byte ^ frame[2 + n % 4] for n, byte in enumerate(frame[6:])) == b"hi"
            assert await ear.code() == 1006
        server.close()
        await server.wait_closed()

    run(whole())
