"""The sending side of one WebSocket: frames are built here and written to the transport in the same call.

aiohttp does the handshake, reading, ping and close. Its own `send_*` are coroutines that wait when the peer is slow;
a relay must neither wait on the path of a frame nor lose sight of what is queued, so data frames are written here,
synchronously, and `net.outbox` decides when. RFC 6455 sections 5.2 (framing) and 5.3 (masking).
"""

from __future__ import annotations

import asyncio
import socket
from os import urandom
from struct import Struct

from aiohttp import ClientWebSocketResponse, web

from relay import limits

try:
    from aiohttp._websocket.helpers import websocket_mask
except ImportError:  # a private name: slower without it, but right

    def websocket_mask(mask: bytes, data: bytearray) -> None:
        """XOR `data` in place with the four bytes of `mask`, repeated."""
        size = len(data)
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        data[:] = (int.from_bytes(data, "big") ^ key).to_bytes(size, "big")


TEXT, BINARY, CLOSE, PONG = 0x1, 0x2, 0x8, 0xA

_head_16 = Struct("!BBH").pack
_head_64 = Struct("!BBQ").pack


def plain_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole, final frame as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return _head_16(0x80 | opcode, 126, size) + payload
    return _head_64(0x80 | opcode, 127, size) + payload


def masked_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole, final frame as a client sends it; the mask is fresh for every frame."""
    size = len(payload)
    mask = urandom(4)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65_536:
        head = _head_16(0x80 | opcode, 0xFE, size)
    else:
        head = _head_64(0x80 | opcode, 0xFF, size)
    body = bytearray(payload)
    websocket_mask(mask, body)
    return head + mask + body


class Wire:
    """What may be done to an open socket besides reading it.

    Reaches for one private attribute of aiohttp, `_writer`, which carries the transport on both sides.
    """

    __slots__ = ("_make", "_protocol", "_transport", "written_bytes")

    def __init__(self, socket_: web.WebSocketResponse[bool] | ClientWebSocketResponse[bool]) -> None:
        writer = socket_._writer
        if writer is None:
            raise RuntimeError("the handshake is not done")
        self._transport: asyncio.Transport = writer.transport
        self._protocol = writer.protocol
        self._make = masked_frame if writer.use_mask else plain_frame
        self.written_bytes = 0
        """Handed to the transport so far."""
        self._transport.set_write_buffer_limits(high=limits.SOCKET_BUFFER_BYTES)
        tune(self._transport)

    @property
    def has_room(self) -> bool:
        """Whether less than limits.SOCKET_BUFFER_BYTES wait in the transport."""
        return not self._protocol._paused

    @property
    def is_closing(self) -> bool:
        """Whether the connection is closed or about to be."""
        return self._transport.is_closing()

    @property
    def taken_bytes(self) -> int:
        """What the peer's side has taken of `written_bytes`."""
        return self.written_bytes - self._transport.get_write_buffer_size()

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits in the transport."""
        return self._transport.get_write_buffer_size() == 0

    def write(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one message now; the transport buffers what the kernel does not take. A closed socket takes nothing."""
        if self._transport.is_closing():
            return
        frame = self._make(payload, opcode)
        self.written_bytes += len(frame)
        self._transport.write(frame)

    async def room(self) -> None:
        """Wait until the transport has room again.

        Raises:
            ConnectionError: the socket is gone.
        """
        await self._protocol._drain_helper()

    def abort(self) -> None:
        """Drop the connection and everything that waits in it."""
        self._transport.abort()


def tune(transport: asyncio.BaseTransport) -> None:
    """Options of a TCP socket that carries speech: nothing is held back, nothing piles up in the kernel, and a peer
    that acknowledges nothing for limits.TCP_USER_TIMEOUT_MS is gone."""
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    options = {"TCP_NODELAY": 1, "TCP_USER_TIMEOUT": limits.TCP_USER_TIMEOUT_MS,
               "TCP_NOTSENT_LOWAT": limits.SOCKET_BUFFER_BYTES}
    for name, value in options.items():
        if hasattr(socket, name):  # the last two exist on Linux only
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
