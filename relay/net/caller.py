"""The caller's leg: its socket is read at the pace it is allowed, and ended in one of two ways."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from relay import limits
from relay.errors import CloseReason
from relay.net.line import Line
from relay.net.outbox import CALLER_BOUNDS, Outbox
from relay.net.pace import Pace
from relay.net.wire import UNSENDABLE_CODES


class CallerLeg:
    """An open socket to a caller; must be made right after the handshake.

    Args:
        socket: made with `decode_text=False` and without a heartbeat.
        on_full: told when the caller does not keep up with what is sent to it, and when it does again.
    """

    def __init__(self, socket: web.WebSocketResponse[bool], on_full: Callable[[bool], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._line = Line(socket)
        self._said: Callable[[bytes, bool], None] = lambda frame, binary: None
        self._gone: asyncio.Future[int] = self._loop.create_future()
        self._held = False
        self._resume: asyncio.TimerHandle | None = None
        """Set while stalled."""
        self.pace = Pace(self._loop.time())
        self.outbox = Outbox(self._line, CALLER_BOUNDS, on_full)

    async def read(self, said: Callable[[bytes, bool], float]) -> int:
        """Read until the socket ends; returns the close code (1006: the caller vanished).

        Args:
            said: is given every message and whether it is binary; answers for how many seconds not to read on.
        """

        def deliver(frame: bytes, binary: bool) -> None:
            if stall_s := said(frame, binary):
                self._stall(stall_s)

        self._line.start(deliver, self._ended, self._pinged)
        return await asyncio.shield(self._gone)

    def hold(self, held: bool) -> None:
        """Read nothing until told otherwise: the model does not keep up."""
        self._held = held
        self._listen()

    def look(self, now: float) -> CloseReason | None:
        """Called every limits.TICK_S: why the call must end because of this leg, if it must."""
        self._line.beat(now)
        if self.outbox.look(now):
            return CloseReason.CALLER_STALLED
        return CloseReason.SLOW_CALLER if self.outbox.overrun else None

    async def hang_up(self, reason: CloseReason, detail: str) -> None:
        """Close within twice limits.CLOSE_DEADLINE_S; by then everything is sent or given up."""
        if reason.ws_code in UNSENDABLE_CODES:
            self.abort()
        try:
            async with asyncio.timeout(limits.CLOSE_DEADLINE_S):
                await self.outbox.emptied()
        except TimeoutError:
            self.abort()
        if reason.ws_code not in UNSENDABLE_CODES:
            self._line.close(reason.ws_code, detail or reason.text, limits.CLOSE_DEADLINE_S)
        await self._line.gone()

    def abort(self) -> None:
        """Drop the connection and all that waits for it."""
        self.outbox.close()
        self._line.abort()

    def _ended(self, code: int) -> None:
        if self._resume is not None:
            self._resume.cancel()
        if not self._gone.done():
            self._gone.set_result(code)

    def _pinged(self) -> None:
        """A flood of pings is slowed down like any other."""
        if stall_s := self.pace.message(self._loop.time()):
            self._stall(stall_s)

    def _stall(self, seconds: float) -> None:
        """Read nothing for a while, so that the kernel slows the caller down."""
        if self._resume is not None:
            self._resume.cancel()
        self._resume = self._loop.call_later(seconds, self._stalled)
        self._listen()

    def _stalled(self) -> None:
        self._resume = None
        self._listen()

    def _listen(self) -> None:
        self._line.pause(self._held or self._resume is not None)
