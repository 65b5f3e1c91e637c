"""Ears whose detector says what the test wants, at the position the test wants."""

from __future__ import annotations

from relay.core.hearing import Finding, Offset, Onset
from relay.core.session import Session


class ScriptedHearing:
    """Stands where `Hearing` stands: `speak` and `fall_silent` are reported with the next audio."""

    def __init__(self) -> None:
        self.position_ms = 0
        self.decided_ms = 0
        self._next: list[Finding] = []
        self.resets = 0

    def feed(self, pcm16k: bytes) -> list[Finding]:
        self.position_ms += len(pcm16k) // 32
        self.decided_ms = self.position_ms
        found, self._next = self._next, []
        return found

    def judged(self, first_window: int, probabilities: list[float]) -> list[Finding]:
        return []

    def reset(self) -> None:
        self.resets += 1

    def reconfigure(self, detection: object) -> None:
        pass

    def speak(self, start_ms: int | None = None) -> None:
        self._next.append(Onset(self.position_ms, self.position_ms if start_ms is None else start_ms))

    def fall_silent(self) -> None:
        self._next.append(Offset(self.position_ms))


def script(session: Session) -> ScriptedHearing:
    """Put a scripted detector into a session."""
    hearing = ScriptedHearing()
    session.floor.ears._hearing = hearing  # type: ignore[assignment]
    return hearing
