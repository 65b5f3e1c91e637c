"""A socket that takes exactly as much as the test lets it take."""

from __future__ import annotations

import asyncio

from relay.net.wire import TEXT


class ScriptedLine:
    """In place of `net.line.Line`, as far as an outbox needs it. `room_for` messages are taken, then it is full."""

    def __init__(self, room_for: int = 1_000_000) -> None:
        self.sent: list[bytes] = []
        self.room_for = room_for
        self.written_bytes = 0
        self.stuck_bytes = 0
        """Of the written ones: what the peer has not taken."""
        self._drained: asyncio.Future[None] | None = None
        self._dead = False

    @property
    def has_room(self) -> bool:
        return self.room_for > 0

    @property
    def taken_bytes(self) -> int:
        return self.written_bytes - self.stuck_bytes

    @property
    def is_idle(self) -> bool:
        return not self.stuck_bytes

    def write(self, payload: bytes, opcode: int = TEXT) -> None:
        self.room_for -= 1
        self.written_bytes += len(payload)
        self.sent.append(payload)

    async def room(self) -> None:
        if self._dead:
            raise ConnectionError
        if not self.has_room:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def drain(self, room_for: int) -> None:
        """The peer took everything; there is room for so many messages."""
        self.room_for = room_for
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def die(self) -> None:
        """The connection is lost."""
        self._dead = True
        if self._drained is not None and not self._drained.done():
            self._drained.set_exception(ConnectionError())
