"""One event after another, also when handling one brings the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from relay import limits

T = TypeVar("T")


class Turnstile(Generic[T]):
    """Passes items to `step`; what `step` itself adds waits until it returns. So nothing is ever re-entered."""

    __slots__ = ("_items", "_step", "_stepping")

    def __init__(self, step: Callable[[T], None]) -> None:
        self._step = step
        self._items: deque[T] = deque()  # bounded in add
        self._stepping = False

    def add(self, item: T) -> None:
        """Pass `item` now, or when its turn comes.

        Raises:
            RuntimeError: limits.MAX_PENDING_EVENTS wait: events cause each other without end, which is our fault.
        """
        if self._stepping:
            if len(self._items) >= limits.MAX_PENDING_EVENTS:
                raise RuntimeError("events cause each other without end")
            self._items.append(item)
            return
        self._stepping = True
        try:
            self._step(item)
            while self._items:
                self._step(self._items.popleft())
        finally:
            self._items.clear()
            self._stepping = False
