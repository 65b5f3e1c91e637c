"""A WebSocket client of bare bytes: it does what no library would."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import AsyncIterator

from relay.net.wire import CLOSE, masked_frame


class RawPeer:
    """An upgraded connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self.reader = reader
        self.writer = writer
        self.head = head
        """The answer to the upgrade."""

    @property
    def status(self) -> int:
        return int(self.head.split(b" ")[1])

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def say(self, text: bytes, opcode: int = 1) -> None:
        await self.send(masked_frame(text, opcode))

    async def frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame, within two seconds."""
        async with asyncio.timeout(2):
            first, size = await self.reader.readexactly(2)
            assert not size & 0x80, "a server's frame must not be masked"
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
            return first & 0xF, await self.reader.readexactly(size)

    async def close_code(self) -> int:
        """The code of the close frame that comes next, other frames passed over; 1006 if the connection just ends."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                opcode, payload = await self.frame()
                if opcode == CLOSE:
                    return int.from_bytes(payload[:2], "big") if payload else 1005
        return 1006

    async def ended(self) -> bytes:
        """Everything until the connection ends, within two seconds."""
        async with asyncio.timeout(2):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read()
        return b""

    def reset(self) -> None:
        """End with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def raw_peer(port: int, path: str, headers: str = "", small: bool = False) -> AsyncIterator[RawPeer]:
    """Connect and upgrade.

    Args:
        small: with a receive buffer of 4 KiB, so that not reading is felt at once.
    """
    sock = socket.socket()
    if small:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=sock, limit=4096 if small else 2**20)
    key = "AAAAAAAAAAAAAAAAAAAAAA=="
    writer.write(
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{headers}\r\n".encode())
    try:
        yield RawPeer(reader, writer, await reader.readuntil(b"\r\n\r\n"))
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
