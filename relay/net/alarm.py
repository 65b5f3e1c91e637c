"""A timer that follows a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls `ring` at the deadline that was set last; must be made inside the running loop.

    A deadline that moves further away, as idle limits do with every frame, costs nothing: the old timer fires, finds
    that it is early, and waits for the rest.
    """

    __slots__ = ("_armed_for", "_deadline", "_handle", "_loop", "_ring")

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._loop = asyncio.get_running_loop()
        self._deadline: float | None = None
        self._handle: asyncio.TimerHandle | None = None
        self._armed_for = 0.0

    def set(self, deadline: float | None) -> None:
        """Ring at `deadline`, in seconds of the loop's clock; None: not at all."""
        self._deadline = deadline
        if deadline is None:
            if self._handle is not None:
                self._handle.cancel()
                self._handle = None
        elif self._handle is None or deadline < self._armed_for:
            if self._handle is not None:
                self._handle.cancel()
            self._armed_for = deadline
            self._handle = self._loop.call_at(deadline, self._fire)

    def _fire(self) -> None:
        self._handle = None
        deadline, now = self._deadline, self._loop.time()
        if deadline is None:
            return
        if now < deadline:
            self.set(deadline)
            return
        self._deadline = None
        self._ring()
