"""What the core asks of the world. Names are imperatives; `net/pump.py` and `net/engines.py` carry them out.

`Emit` is the cascade's way to say that something happened on the model side; everything else is work.
Imports only `events`, `errors` and `nouns`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from relay.errors import CloseReason
from relay.events import Event
from relay.nouns import Item, Settings, Tool


@dataclass(frozen=True, slots=True)
class Command:
    """Something to be done."""


@dataclass(frozen=True, slots=True)
class ToCaller(Command):
    """Say this to the caller, in its dialect."""

    event: Event


@dataclass(frozen=True, slots=True)
class ToModel(Command):
    """Say this to the model: over its socket in its dialect, or to the cascade."""

    event: Event


@dataclass(frozen=True, slots=True)
class FlushCaller(Command):
    """Forget audio of this response that still waits in the caller's outbox."""

    response_id: str


@dataclass(frozen=True, slots=True)
class Judge(Command):
    """Ask the speech judge about consecutive windows; answered with one `SpeechJudged`."""

    first_window: int
    windows: bytes
    """PCM16 at 16 kHz, a whole number of windows of `audio.vad.WINDOW_SAMPLES`."""
    fresh: bool
    """True: the gate has just opened, so the judge forgets what it heard before."""


@dataclass(frozen=True, slots=True)
class RunTool(Command):
    """Run a server tool; answered with one `ToolAnswered` unless stopped."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class StopTool(Command):
    """Nobody waits for this call any more."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Close(Command):
    """End the session: last words in the caller's dialect, then the reason's close code; release the model leg."""

    reason: CloseReason
    detail: str = ""


# --- the cascade's own work ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Emit(Command):
    """The model side, composed here, did this."""

    event: Event


@dataclass(frozen=True, slots=True)
class Listen(Command):
    """Begin transcribing a turn; `TranscriptHeard` events follow."""

    ref: str
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Hear(Command):
    """More audio of a turn, in the transcriber's input format."""

    ref: str
    audio: bytes


@dataclass(frozen=True, slots=True)
class FinishListening(Command):
    """The turn is over: a final `TranscriptHeard` must follow."""

    ref: str


@dataclass(frozen=True, slots=True)
class Think(Command):
    """Ask the chat model; `ReplyProduced`, `ReplyToolCalled`, then `ReplyFinished` follow."""

    ref: str
    history: tuple[Item, ...]
    settings: Settings
    tools: tuple[Tool, ...]
    tool_choice: str | Mapping[str, Any] = "auto"
    instructions: str = ""


@dataclass(frozen=True, slots=True)
class Speak(Command):
    """Say this text; `SpeechProduced`, then `SpeechFinished` follow."""

    ref: str
    text: str
    voice: str | None = None
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class Drop(Command):
    """Stop the work with this reference (listening, thinking or speaking). No event of it is wanted any more."""

    ref: str
