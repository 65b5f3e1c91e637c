"""Named deadlines of one session: set, cleared, and asked for the next."""

from __future__ import annotations


class Timers:
    """A handful of absolute times by name. `next` is kept, so that asking for it on the path of a frame is free."""

    __slots__ = ("_at", "next")

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self.next: float | None = None

    def set(self, name: str, at: float) -> None:
        """Have `name` be due at a time, instead of whatever it was."""
        self._at[name] = at
        self.next = min(self._at.values())

    def clear(self, name: str) -> None:
        if self._at.pop(name, None) is not None:
            self.next = min(self._at.values(), default=None)

    def armed(self, name: str) -> bool:
        return name in self._at

    def due(self, now: float) -> list[str]:
        """Names whose time has come, earliest first; they are cleared."""
        if self.next is None or self.next > now:
            return []
        names = sorted((name for name, at in self._at.items() if at <= now), key=self._at.__getitem__)
        for name in names:
            del self._at[name]
        self.next = min(self._at.values(), default=None)
        return names
