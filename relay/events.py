"""THE vocabulary: everything that can happen, as frozen values. Names are past participles.

Three groups. *Requests* are what a caller asked for; a caller dialect makes them and a model dialect (or
the cascade) takes them. *Happenings* are what a model did; a model dialect (or the cascade) makes them and a
caller dialect takes them. *Reports* come from the world outside the core: sockets, tools, speech engines, the
speech judge. `raw`, where present, is the frame that the event came in as: between two legs of the same dialect it
is forwarded as those very bytes (the pump decides). Imports only `nouns`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from relay.nouns import Fault, Item, ResponseOptions, Settings, SpokenWord, Usage

Leg = Literal["caller", "model"]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened."""


# --- Requests: caller -> session -> model -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SettingsRequested(Event):
    """The caller (or the relay) wants the session to change."""

    changes: Mapping[str, Any]
    """Field names of `Settings` to new values of the field's type; what is absent stays."""
    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class AudioAppended(Event):
    """Speech from the caller. The HOT event: made once a frame."""

    audio: str | bytes
    """Samples in the leg's input format: base64 text where the wire has it so (decoded only if needed), else bytes."""
    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class TurnOpened(Event):
    """The relay heard the caller begin: what is appended from now on belongs to this item. No wire has a frame for it;
    it tells a cascade the id that was announced."""

    item_id: str


@dataclass(frozen=True, slots=True)
class CommitRequested(Event):
    """What was appended since the last commit is a turn."""

    item_id: str | None = None
    """Id the new item should have; set by the session when it owns turn detection."""
    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ClearRequested(Event):
    """What was appended since the last commit is to be forgotten."""

    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ItemCreateRequested(Event):
    item: Item
    """`item.id` is "" when the caller leaves the choice to us."""
    after_id: str | None = None
    """None: at the end; "root": at the beginning; else behind the item with this id."""
    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ItemTruncateRequested(Event):
    """Cut a spoken item at what was heard."""

    item_id: str
    audio_end_ms: int
    content_index: int = 0
    strict: bool = True
    """True: an unknown id or an end beyond the audio is an error (OpenAI); False: clamp, or ignore (AI SDK)."""
    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ItemDeleteRequested(Event):
    item_id: str
    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ItemRetrieveRequested(Event):
    item_id: str
    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ResponseRequested(Event):
    """Somebody wants the model to answer now."""

    options: ResponseOptions = field(default_factory=ResponseOptions)
    takeover: bool = False
    """True: a running response is interrupted first (AI SDK); False: it is an error (OpenAI)."""
    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class CancelRequested(Event):
    response_id: str | None = None
    """None: whatever is running."""
    reason: Literal["client_cancelled", "turn_detected"] = "client_cancelled"
    strict: bool = True
    """True: nothing to cancel is an error (OpenAI); False: it is not (AI SDK)."""
    heard: tuple[str, int] | None = None
    """The item that was being spoken, and the milliseconds of it that were heard."""
    request_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Rejected(Event):
    """The caller sent something that its dialect does not allow; the session lives on."""

    fault: Fault


# --- Either way ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Unmapped(Event):
    """A frame that has no meaning outside its own dialect. Passed on between equal dialects, else named or dropped."""

    type: str
    source: Leg
    raw: bytes


@dataclass(frozen=True, slots=True)
class Acknowledged(Event):
    """A caller dialect has itself carried out what the caller asked for; goes back to the caller as it is."""

    command: str
    request_id: str | None = None


# --- Happenings: model -> session -> caller -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    session_id: str
    settings: Settings
    expires_at: int = 0
    """Unix seconds at which the session will end; 0: no end is set."""
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class SettingsApplied(Event):
    settings: Settings
    """The whole effective settings."""
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class SpeechStarted(Event):
    item_id: str
    """The id that the caller's item will have."""
    audio_start_ms: int
    """Milliseconds of caller audio since the session began; the prefix padding is already subtracted."""
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class SpeechStopped(Event):
    item_id: str
    audio_end_ms: int
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class IdleTimedOut(Event):
    item_id: str
    audio_start_ms: int
    audio_end_ms: int
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class AudioCommitted(Event):
    item_id: str
    previous_item_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class AudioCleared(Event):
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ItemAdded(Event):
    """An item entered the conversation (an answer's item while it is still in progress)."""

    item: Item
    previous_item_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ItemFinished(Event):
    """The item of an earlier `ItemAdded` has all its content."""

    item: Item
    previous_item_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ItemRetrieved(Event):
    item: Item
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ItemTruncated(Event):
    item_id: str
    audio_end_ms: int
    content_index: int = 0
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ItemDeleted(Event):
    item_id: str
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class InputTranscribed(Event):
    """What the caller said, as text: so far, or finally."""

    item_id: str
    text: str
    """The whole transcript up to here."""
    final: bool
    delta: str = ""
    """What is new since the last event of this item ("" when earlier words were revised, and when final)."""
    usage: Usage | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class TranscriptionFailed(Event):
    item_id: str
    fault: Fault
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ResponseStarted(Event):
    response_id: str
    options: ResponseOptions = field(default_factory=ResponseOptions)
    conversation_id: str | None = None
    """None for an out-of-band response."""
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class OutputItemStarted(Event):
    """A response began an item: an assistant message, or a function call."""

    response_id: str
    item: Item
    output_index: int = 0
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class AudioProduced(Event):
    """Speech for the caller. The HOT event of the other direction."""

    response_id: str
    item_id: str
    audio: str | bytes
    """As in `AudioAppended`, in the leg's output format."""
    output_index: int = 0
    content_index: int = 0
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class TranscriptProduced(Event):
    """Words of spoken output."""

    response_id: str
    item_id: str
    delta: str
    output_index: int = 0
    content_index: int = 0
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class TextProduced(Event):
    """Words of written output."""

    response_id: str
    item_id: str
    delta: str
    output_index: int = 0
    content_index: int = 0
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ToolArgumentsProduced(Event):
    response_id: str
    item_id: str
    call_id: str
    delta: str
    output_index: int = 0
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ToolCalled(Event):
    """The arguments of a call are complete."""

    response_id: str
    item_id: str
    call_id: str
    name: str
    arguments: str
    """JSON text; "{}" for none."""
    output_index: int = 0
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class OutputItemFinished(Event):
    """An item of a response has all it will have; `item.status` is incomplete when it was cut."""

    response_id: str
    item: Item
    output_index: int = 0
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class ResponseFinished(Event):
    """Exactly one for every `ResponseStarted`, whatever the outcome."""

    response_id: str
    status: Literal["completed", "cancelled", "failed", "incomplete"]
    reason: str | None = None
    """cancelled: turn_detected, client_cancelled; incomplete: max_output_tokens, content_filter."""
    fault: Fault | None = None
    """When failed."""
    output: tuple[Item, ...] = ()
    usage: Usage | None = None
    options: ResponseOptions = field(default_factory=ResponseOptions)
    conversation_id: str | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Warned(Event):
    """Something was not done as asked, and the session goes on: named to the caller, never dropped in silence."""

    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """A request could not be carried out, or the model reported an error. Not the end of the session."""

    fault: Fault
    raw: bytes | None = None


# --- Reports: the world -> session or cascade ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LegOpened(Event):
    leg: Leg


@dataclass(frozen=True, slots=True)
class LegClosed(Event):
    leg: Leg
    code: int
    """WebSocket close code; 1006 when the peer vanished."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class SpeechJudged(Event):
    """The judge's answer for consecutive windows of this session's audio."""

    first_window: int
    """Number of the first window, counted from the session's beginning."""
    probabilities: Sequence[float]
    """Of speech, 0 to 1, one a window; NaN: the judge had no time for it, so the gate decides."""


@dataclass(frozen=True, slots=True)
class ToolAnswered(Event):
    """A server tool returned, or failed; `output` is what the model will read either way."""

    call_id: str
    output: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class TranscriptHeard(Event):
    """A transcriber's words for one turn, so far or finally. The final one may be empty."""

    ref: str
    text: str
    final: bool


@dataclass(frozen=True, slots=True)
class ReplyProduced(Event):
    """Text of a chat model."""

    ref: str
    delta: str


@dataclass(frozen=True, slots=True)
class ReplyToolCalled(Event):
    """A chat model wants a tool."""

    ref: str
    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class ReplyFinished(Event):
    ref: str
    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True)
class SpeechProduced(Event):
    """Speech of a synthesizer."""

    ref: str
    pcm: bytes
    """PCM16 mono at the synthesizer's native rate; whole samples."""
    words: tuple[SpokenWord, ...] = ()
    """Words that begin in or after this chunk, as far as known."""


@dataclass(frozen=True, slots=True)
class SpeechFinished(Event):
    ref: str


@dataclass(frozen=True, slots=True)
class EngineFailed(Event):
    """A stage of the cascade gave up on one piece of work."""

    ref: str
    stage: Literal["listen", "think", "speak"]
    message: str
    """Safe to show to the caller."""
