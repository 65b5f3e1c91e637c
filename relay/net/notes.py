"""What the rim has to know of a conversation that the core owns: formats in force, and whether a turn is on. Pure."""

from __future__ import annotations

from relay.events import (
    Event,
    ResponseFinished,
    ResponseStarted,
    SessionOpened,
    SettingsApplied,
    SpeechStarted,
    SpeechStopped,
)
from relay.nouns import Settings


class Notes:
    """Taken of everything that is said to a caller, except audio."""

    __slots__ = ("_responses", "_speaking", "input_format", "output_bytes_per_ms")

    def __init__(self, settings: Settings) -> None:
        self._responses: set[str] = set()  # those that are open; bounded by the session, usually one
        self._speaking = False
        self._apply(settings)

    def take(self, event: Event) -> bool:
        """Note an event; returns whether the formats may have changed."""
        match event:
            case ResponseStarted():
                self._responses.add(event.response_id)
            case ResponseFinished():
                self._responses.discard(event.response_id)
            case SpeechStarted():
                self._speaking = True
            case SpeechStopped():
                self._speaking = False
            case SessionOpened() | SettingsApplied():
                self._apply(event.settings)
                return True
        return False

    @property
    def is_busy(self) -> bool:
        """Whether a turn is in progress: somebody speaks, or an answer is not complete."""
        return self._speaking or bool(self._responses)

    def _apply(self, settings: Settings) -> None:
        self.input_format = settings.input_format
        self.output_bytes_per_ms = settings.output_format.bytes_per_second / 1000
