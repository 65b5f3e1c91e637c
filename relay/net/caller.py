"""The caller's leg: reading its socket at the pace it is allowed, and hanging up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

from aiohttp import WSMsgType, web

from relay import limits
from relay.errors import CloseReason
from relay.net.outbox import CALLER_BOUNDS, Outbox
from relay.net.pace import Pace
from relay.net.upstream import close_code
from relay.net.wire import PONG, Wire

UNSENDABLE_CODES = frozenset({1004, 1005, 1006, 1015})
"""RFC 6455 section 7.4.1: reserved, must not stand in a close frame."""


class CallerLeg:
    """An open socket to a caller; must be made inside the running loop.

    Args:
        socket: after the handshake, with `decode_text=False` and `autoping=False`.
        on_full: told when the caller does not keep up with what is sent to it, and when it does again.
    """

    def __init__(self, socket: web.WebSocketResponse[bool], on_full: Callable[[bool], None]) -> None:
        self._socket = socket
        self._wire = Wire(socket)
        self._clock = asyncio.get_running_loop().time
        self._left = asyncio.Event()
        self.pace = Pace(self._clock())
        self.outbox = Outbox(self._wire, CALLER_BOUNDS, on_full)

    async def read(self, said: Callable[[bytes, bool], float]) -> int:
        """Read until the socket ends; returns the close code (1006: the caller vanished).

        Args:
            said: is given every message and whether it is binary; answers for how many seconds not to read on.
        """
        receive = self._socket.receive
        while True:
            message = await receive()
            kind = message.type
            if kind is WSMsgType.TEXT or kind is WSMsgType.BINARY:
                if stall_s := said(message.data, kind is WSMsgType.BINARY):
                    await self._stall(stall_s)
            elif kind is WSMsgType.PING:  # answered here, so that a flood of them is paced like everything else
                self.outbox.send(message.data, opcode=PONG)
                if stall_s := self.pace.message(self._clock()):
                    await self._stall(stall_s)
            elif kind is not WSMsgType.PONG:
                return close_code(message, self._socket.close_code)

    def look(self, now: float) -> CloseReason | None:
        """Called every limits.TICK_S: why the call must end because of this leg, if it must."""
        if self._wire.is_closing:
            self._left.set()
        if self.outbox.look(now):
            return CloseReason.CALLER_STALLED
        return CloseReason.SLOW_CALLER if self.outbox.overrun else None

    async def hang_up(self, reason: CloseReason, detail: str) -> None:
        """Close within limits.CLOSE_DEADLINE_S; by then everything is sent or given up."""
        self._left.set()
        if reason.ws_code in UNSENDABLE_CODES:
            self.abort()
            return
        text = (detail or reason.text).encode()[:limits.MAX_CLOSE_REASON_BYTES].decode("utf-8", "ignore")
        try:
            async with asyncio.timeout(limits.CLOSE_DEADLINE_S):
                await self.outbox.emptied()
                await self._socket.close(code=reason.ws_code, message=text.encode())
        except (TimeoutError, ConnectionError):
            self.abort()

    def abort(self) -> None:
        """Drop the connection and all that waits for it."""
        self.outbox.close()
        self._wire.abort()

    async def _stall(self, seconds: float) -> None:
        """Read nothing for a while, so that the kernel slows the caller down; but notice when it leaves."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._left.wait()
