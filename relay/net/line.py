"""One open WebSocket, without a coroutine on its hot path: frames in by callback, frames out by a plain call.

aiohttp does the handshake and parses frames (its parser is C); after the handshake its protocol is taken off the
transport and this one put on. A coroutine that waits for every message costs a future, a task step and a turn of the
loop for each; and aiohttp's `send_*` wait when a peer is slow, while a relay must neither wait on the path of a frame
nor lose sight of what is queued. So messages are handed over in the very call in which the kernel gave their bytes, and
frames go to the transport in the call that sends them. `net.outbox` decides when.

Reaches for these private names of aiohttp 3.14, here and nowhere else: `_writer`, `_parser`, `_reader` of its sockets,
`_buffer` of its queue, `_response` of its client's socket.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from aiohttp import ClientWebSocketResponse, WebSocketError, WSMsgType, web
from aiohttp.http import WebSocketReader

from relay import limits
from relay.net.wire import CLOSE, PING, PONG, TEXT, close_payload, masked_frame, plain_frame

_TEXT, _BINARY = WSMsgType.TEXT, WSMsgType.BINARY

Socket = web.WebSocketResponse[bool] | ClientWebSocketResponse[bool]


class Line(asyncio.Protocol):
    """Takes over the socket of `opened`; must be made right after the handshake, before anything else is awaited.

    Nothing is delivered before `start`. Then `ended` is called exactly once, unless `start` never was.
    """

    def __init__(self, opened: Socket) -> None:
        writer, parser, queue = opened._writer, opened._parser, opened._reader
        assert writer is not None
        assert parser is not None
        assert queue is not None
        self._loop = asyncio.get_running_loop()
        self._client = opened._response if isinstance(opened, ClientWebSocketResponse) else None
        self._parser: WebSocketReader = parser
        self._queue = queue
        self._transport: asyncio.Transport = writer.transport
        self._theirs = writer.protocol
        self._make = masked_frame if writer.use_mask else plain_frame
        self._said: Callable[[bytes, bool], None] | None = None
        self._ended: Callable[[int], None] | None = None
        self._pinged: Callable[[], None] = _nothing
        self._paused = True
        self._delivering = False
        self._over = False
        self._deaf = False
        """The peer broke the framing: what else it sends is thrown away."""
        self._code: int | None = None
        self._room: asyncio.Future[None] | None = None
        self._last_resort: asyncio.TimerHandle | None = None
        self.has_room = True
        """Whether less than limits.SOCKET_BUFFER_BYTES wait in the transport."""
        self.heard_at = self._loop.time()
        """When the peer last sent anything."""
        self.written_bytes = 0
        """Handed to the transport so far."""
        self._lost: asyncio.Future[None] = self._loop.create_future()
        self._transport.set_protocol(self)
        if self._transport.is_closing():  # the end may have been told to aiohttp's protocol already, and to no other
            self._end(1006)
            self._lost.set_result(None)
        else:
            self._transport.set_write_buffer_limits(high=limits.SOCKET_BUFFER_BYTES)
            tune(self._transport)

    # --- in

    def start(
        self, said: Callable[[bytes, bool], None], ended: Callable[[int], None],
        pinged: Callable[[], None] | None = None,
    ) -> None:
        """Begin to deliver, with what has come already.

        Args:
            said: gets every message (text as UTF-8 bytes, not checked), and whether it is binary.
            ended: gets the close code: 1005 for a close frame without one, 1006 for none at all (RFC 6455 7.1.5).
            pinged: told of every ping; it is answered already.
        """
        self._said, self._ended = said, ended
        if pinged is not None:
            self._pinged = pinged
        if self._over:
            self._loop.call_soon(ended, 1006 if self._code is None else self._code)
        self.pause(False)

    def pause(self, paused: bool) -> None:
        """Deliver nothing for a while; the kernel then slows the peer down."""
        if self._paused and not paused:
            self.heard_at = self._loop.time()  # whoever was not listened to was not silent
        self._paused = paused
        if not paused:
            self._deliver()

    def data_received(self, data: bytes) -> None:
        self.heard_at = self._loop.time()
        if self._deaf:
            return
        self._parser.feed_data(data)
        if not self._paused:
            self._deliver()

    def _deliver(self) -> None:
        """Hand over what the parser has put into its queue."""
        queue = self._queue
        buffer = queue._buffer
        if self._delivering or self._said is None:
            return
        self._delivering = True
        try:
            while buffer and not self._paused and not self._over:
                try:
                    queue.read().send(None)  # a coroutine that does not wait when there is something to read
                except StopIteration as returned:
                    kind, data, _ = returned.value
                if kind is _TEXT:
                    self._said(data, False)
                elif kind is _BINARY:
                    self._said(data, True)
                else:
                    self._control(kind, data)
        finally:
            self._delivering = False
        if not buffer and not self._over and (error := queue.exception()) is not None:
            self._broken(error)

    def _control(self, kind: WSMsgType, data: bytes | int) -> None:
        if kind is WSMsgType.PING:
            if self.has_room:
                self.write(bytes(data), PONG)
            self._pinged()
        elif kind is WSMsgType.CLOSE:
            code = int(data) if isinstance(data, int) else 0
            if self._last_resort is None:  # the peer began: its own code goes back (RFC 6455 section 5.5.1)
                self.write(close_payload(code) if code else b"", CLOSE)
            self._finish(code or 1005)

    def _broken(self, error: BaseException) -> None:
        """The peer broke the framing rules: RFC 6455 section 7.1.7.

        It may be in the middle of a message that is too large. A socket that is closed with bytes unread is reset by
        the kernel, and the close frame would be lost with it; so the rest is read and thrown away first.
        """
        code = int(error.code) if isinstance(error, WebSocketError) else 1002
        self.write(close_payload(code), CLOSE)
        self._deaf = True
        self._end(code)
        self._abort_in(limits.CLOSE_DEADLINE_S)
        self._linger()

    def _linger(self) -> None:
        if self._loop.time() - self.heard_at >= limits.LINGER_S:
            self._transport.close()
        elif not self._transport.is_closing():
            self._loop.call_later(limits.LINGER_S, self._linger)

    # --- out

    def write(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one message now; the transport buffers what the kernel does not take. A closed socket takes nothing."""
        transport = self._transport
        if transport.is_closing():
            return
        frame = self._make(payload, opcode)
        self.written_bytes += len(frame)
        transport.write(frame)

    @property
    def taken_bytes(self) -> int:
        """What the kernel has taken of `written_bytes`."""
        return self.written_bytes - self._transport.get_write_buffer_size()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits in the transport."""
        return self._transport.get_write_buffer_size() == 0

    @property
    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self._transport.is_closing()

    async def room(self) -> None:
        """Wait until the transport has room again.

        Raises:
            ConnectionError: the socket is gone.
        """
        if self._transport.is_closing():
            raise ConnectionError("the socket is closed")
        if not self.has_room:
            if self._room is None:
                self._room = self._loop.create_future()
            await self._room

    def pause_writing(self) -> None:
        self.has_room = False

    def resume_writing(self) -> None:
        self.has_room = True
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        self._room = None

    # --- life

    def beat(self, now: float) -> None:
        """Called every limits.TICK_S: ping a peer that is silent for limits.HEARTBEAT_S, give up on one that is for
        half as long again; not while paused, since its answer would wait unread. (A peer that does not *read* is found
        by `Outbox.look`: pings wait in the same buffer.)"""
        if self._paused:
            return
        silent_s = now - self.heard_at
        if silent_s >= limits.HEARTBEAT_S * 1.5:
            self.abort()
        elif silent_s >= limits.HEARTBEAT_S and self.has_room:
            self.write(b"", PING)

    def close(self, code: int, text: str, within_s: float) -> None:
        """Begin the closing handshake; the socket is gone within `within_s`, whatever the peer does."""
        if self._over or self._last_resort is not None:
            return
        self.write(close_payload(code, text), CLOSE)
        self._abort_in(within_s)
        self._said = _nobody
        self._paused = False
        self._deliver()

    def abort(self) -> None:
        """Drop the connection and everything that waits in it."""
        self._transport.abort()

    async def gone(self) -> None:
        """Wait until the connection is gone: aiohttp drops it as soon as the handler that accepted it returns."""
        await asyncio.shield(self._lost)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(1006)
        if not self._lost.done():
            self._lost.set_result(None)
        if self._last_resort is not None:
            self._last_resort.cancel()
        if self._room is not None and not self._room.done():
            self._room.set_exception(ConnectionError("the socket is closed"))
        self._theirs.connection_lost(exc)
        if self._client is not None:
            self._client.close()  # gives the connection back to its pool, which then forgets it

    def _finish(self, code: int) -> None:
        """Nothing more is said by either side: let the transport send what it has, then drop it."""
        self._transport.close()
        self._abort_in(limits.CLOSE_DEADLINE_S)
        self._end(code)

    def _end(self, code: int) -> None:
        if self._over:
            return
        self._over = True
        self._code = code
        if self._ended is not None:
            self._ended(code)

    def _abort_in(self, seconds: float) -> None:
        if self._last_resort is None:
            self._last_resort = self._loop.call_later(seconds, self.abort)


def tune(transport: asyncio.BaseTransport) -> None:
    """Options of a TCP socket that carries speech: nothing is held back, nothing piles up in the kernel, and a peer
    that acknowledges nothing for limits.TCP_USER_TIMEOUT_MS is gone."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    options = {"TCP_NODELAY": 1, "TCP_USER_TIMEOUT": limits.TCP_USER_TIMEOUT_MS,
               "TCP_NOTSENT_LOWAT": limits.KERNEL_UNSENT_BYTES}
    for name, value in options.items():
        if hasattr(socket, name):  # the last two exist on Linux only
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _nobody(data: bytes, binary: bool) -> None:
    """Where messages of a closing socket go."""


def _nothing() -> None:
    """Who is told of pings when nobody asked."""
