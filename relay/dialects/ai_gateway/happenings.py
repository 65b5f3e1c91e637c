"""Our happenings -> what AI SDK callers read (`@ai-sdk/provider` 4.0.38 `realtime-model-v4-server-event.ts`).

The client checks nothing and forgives little; what it needs is in `ai` 7.0.173 `realtime/`: it plays whatever audio
arrives, so nothing of an interrupted answer may follow `speech-started`; audio that is empty, odd or not standard
base64 ends the conversation (`audio-utils.ts`); a text shows only if a delta came before its `-done`, and a delta
behind `speech-started` or `response-done` opens a new bubble (`realtime-event-reducer.ts`).
"""

from __future__ import annotations

import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from relay import limits
from relay.dialects.ai_gateway.bodies import error_type
from relay.dialects.ai_gateway.fields import decoded_size
from relay.errors import CloseReason
from relay.events import (
    Acknowledged,
    AudioCleared,
    AudioCommitted,
    AudioProduced,
    Event,
    Failed,
    IdleTimedOut,
    InputTranscribed,
    ItemAdded,
    ItemDeleted,
    ItemTruncated,
    OutputItemFinished,
    OutputItemStarted,
    Rejected,
    ResponseFinished,
    ResponseStarted,
    SessionOpened,
    SettingsApplied,
    SpeechStarted,
    SpeechStopped,
    TextProduced,
    ToolArgumentsProduced,
    ToolCalled,
    TranscriptionFailed,
    TranscriptProduced,
    Unmapped,
    Warned,
)
from relay.nouns import Fault, Item, Settings, Usage

_MAX_DELTA_BYTES = (limits.MAX_AI_SDK_FRAME_CHARS - 4_096) // 8 * 6
"""Audio of one `audio-delta`; a multiple of 6 so that every piece is whole samples and whole base64 groups."""


@dataclass(slots=True)
class _OpenItem:
    """A message of an answer that has begun and not ended."""

    response_id: str
    prefix: bytes
    """An `audio-delta` of this item up to its audio."""
    words: str = ""
    """What its text is called: `audio-transcript` or `text`; "" while the caller has seen none."""
    spoken: bool = False
    carry: bytes = b""
    """Half a sample that waits for its other half."""


class HappeningWriter:
    """Writes to one caller. Keeps which answers are still wanted, and which items and calls the caller has seen."""

    def __init__(self) -> None:
        self._live: set[str] = set()
        self._items: dict[str, _OpenItem] = {}
        self._calls: set[str] = set()
        self._interrupts = True

    def encode(self, event: Event) -> list[bytes]:
        """One happening -> frames, in order."""
        if type(event) is AudioProduced:
            return self._audio(event)
        write = _WRITERS.get(type(event))
        return write(self, event) if write else []

    # --- the session and the caller's side of the conversation

    def _opened(self, event: SessionOpened) -> list[bytes]:
        self._follow(event.settings)
        return _frame({"type": "session-created", "sessionId": event.session_id})

    def _applied(self, event: SettingsApplied) -> list[bytes]:
        self._follow(event.settings)
        return _frame({"type": "session-updated"})

    def _follow(self, settings: Settings) -> None:
        self._interrupts = settings.turn_detection is None or settings.turn_detection.interrupt_response

    def _speech_started(self, event: SpeechStarted) -> list[bytes]:
        if not self._interrupts:
            # The client falls silent on `speech-started`, whatever was agreed about interruptions.
            return _custom("input_audio_buffer.speech_started", item_id=event.item_id,
                           audio_start_ms=event.audio_start_ms)
        self._live.clear()
        return _frame({"type": "speech-started", "itemId": event.item_id})

    def _speech_stopped(self, event: SpeechStopped) -> list[bytes]:
        return _frame({"type": "speech-stopped", "itemId": event.item_id})

    def _committed(self, event: AudioCommitted) -> list[bytes]:
        previous = {"previousItemId": event.previous_item_id} if event.previous_item_id else {}
        return _frame({"type": "audio-committed", "itemId": event.item_id, **previous})

    def _added(self, event: ItemAdded) -> list[bytes]:
        frames = _frame({"type": "conversation-item-added", "itemId": event.item.id, "item": _item(event.item)})
        # Nothing depends on this frame, so one that would break the client is left out.
        return frames if len(frames[0]) <= limits.MAX_AI_SDK_FRAME_CHARS else []

    def _transcribed(self, event: InputTranscribed) -> list[bytes]:
        if not event.text and not event.final:
            return []
        # The client has no partial transcript: it replaces the bubble of an item when this frame is repeated.
        return _frame({"type": "input-transcription-completed", "itemId": event.item_id, "transcript": event.text,
                       **_usage(event.usage)})

    # --- answers

    def _started(self, event: ResponseStarted) -> list[bytes]:
        self._live.add(event.response_id)
        return _frame({"type": "response-created", "responseId": event.response_id})

    def _item_started(self, event: OutputItemStarted) -> list[bytes]:
        return _frame({"type": "output-item-added", "responseId": event.response_id, "itemId": event.item.id})

    def _open(self, response_id: str, item_id: str) -> tuple[_OpenItem, list[bytes]]:
        """The item's state; with the frame that announces its content when this is the first of it."""
        item = self._items.get(item_id)
        if item is not None:
            return item, []
        if len(self._items) >= limits.MAX_OPEN_ITEMS:
            del self._items[next(iter(self._items))]
        ids = orjson.dumps({"type": "audio-delta", "responseId": response_id, "itemId": item_id})
        item = self._items[item_id] = _OpenItem(response_id, ids[:-1] + b',"delta":')
        return item, _frame({"type": "content-part-added", "responseId": response_id, "itemId": item_id})

    def _audio(self, event: AudioProduced) -> list[bytes]:
        """HOT. Base64 of whole samples passes as it is; anything else is decoded and cut to whole samples."""
        if event.response_id not in self._live:
            return []
        item, frames = self._open(event.response_id, event.item_id)
        item.spoken = True
        audio = event.audio
        if isinstance(audio, str):
            if (not item.carry and (size_bytes := decoded_size(audio)) > 0 and not size_bytes & 1
                    and size_bytes <= _MAX_DELTA_BYTES and "-" not in audio and "_" not in audio):
                return [*frames, item.prefix + orjson.dumps(audio) + b"}"]
            audio = _decoded(audio)
        if item.carry:
            audio = item.carry + audio
        whole = len(audio) & ~1
        item.carry = audio[whole:]
        for start in range(0, whole, _MAX_DELTA_BYTES):
            piece = audio[start : min(start + _MAX_DELTA_BYTES, whole)]
            frames.append(item.prefix + b'"' + binascii.b2a_base64(piece, newline=False) + b'"}')
        return frames

    def _words(self, event: TranscriptProduced | TextProduced) -> list[bytes]:
        if event.response_id not in self._live or not event.delta:
            return []
        item, frames = self._open(event.response_id, event.item_id)
        item.words = item.words or ("text" if type(event) is TextProduced else "audio-transcript")
        return frames + _frame({"type": f"{item.words}-delta", "responseId": event.response_id,
                                "itemId": event.item_id, "delta": event.delta})

    def _item_finished(self, event: OutputItemFinished) -> list[bytes]:
        response_id, item = event.response_id, event.item
        ends = _frame({"type": "output-item-done", "responseId": response_id, "itemId": item.id})
        known = [part.text for part in item.content if part.text is not None]
        text = "".join(known) if known else None
        opened = self._items.get(item.id)
        frames: list[bytes] = []
        if text and not (opened and opened.words):
            # Text that comes whole needs its delta all the same, or it would not show.
            spoken = any(part.type == "output_audio" for part in item.content)
            whole = TranscriptProduced if spoken else TextProduced
            frames = self._words(whole(response_id, item.id, text))
        opened = self._items.pop(item.id, None)
        return frames + (self._close(item.id, opened, text) if opened else []) + ends

    def _close(self, item_id: str, item: _OpenItem, text: str | None) -> list[bytes]:
        ids = {"responseId": item.response_id, "itemId": item_id}
        frames = _frame({"type": "audio-done", **ids}) if item.spoken else []
        if item.words:
            # Of an interrupted answer, `text` is what was heard: the client's bubble shrinks to it.
            whole = {} if text is None else {"text" if item.words == "text" else "transcript": text}
            frames += _frame({"type": f"{item.words}-done", **ids, **whole})
        return frames + _frame({"type": "content-part-done", **ids})

    def _arguments(self, event: ToolArgumentsProduced) -> list[bytes]:
        self._calls.add(event.call_id)
        return _frame({"type": "function-call-arguments-delta", "responseId": event.response_id,
                       "itemId": event.item_id, "callId": event.call_id, "delta": event.delta})

    def _called(self, event: ToolCalled) -> list[bytes]:
        arguments = event.arguments.strip() or "{}"
        ids = {"responseId": event.response_id, "itemId": event.item_id, "callId": event.call_id}
        frames = []
        if event.call_id not in self._calls:  # the client shows only a call of which it saw a delta
            frames = _frame({"type": "function-call-arguments-delta", **ids, "delta": arguments})
        self._calls.discard(event.call_id)
        return frames + _frame({"type": "function-call-arguments-done", **ids, "name": event.name,
                                "arguments": arguments})

    def _finished(self, event: ResponseFinished) -> list[bytes]:
        self._live.discard(event.response_id)
        self._calls.clear()
        frames: list[bytes] = []
        for item_id in [key for key, item in self._items.items() if item.response_id == event.response_id]:
            frames += self._close(item_id, self._items.pop(item_id), None)
        if event.status == "failed":  # the client ignores the status; only an error is seen
            fault = event.fault or Fault("server_error", "response_failed", "The answer could not be completed.")
            frames += _error(fault)
        return frames + _frame({"type": "response-done", "responseId": event.response_id, "status": event.status,
                                **_usage(event.usage)})

    # --- what only a developer sees

    def _failed(self, event: Failed | Rejected) -> list[bytes]:
        return _error(event.fault)

    def _acknowledged(self, event: Acknowledged) -> list[bytes]:
        asked = {"clientEventId": event.request_id} if event.request_id else {}
        return _frame({"type": "command-acknowledged", "command": event.command, **asked})

    def _warned(self, event: Warned) -> list[bytes]:
        return _custom("relay.warning", code=event.code, message=event.message, param=event.param)

    def _unmapped(self, event: Unmapped) -> list[bytes]:
        return _custom(event.type) if event.source == "model" else []

    def _idle(self, event: IdleTimedOut) -> list[bytes]:
        return _custom("input_audio_buffer.timeout_triggered", item_id=event.item_id,
                       audio_start_ms=event.audio_start_ms, audio_end_ms=event.audio_end_ms)

    def _cleared(self, event: AudioCleared) -> list[bytes]:
        return _custom("input_audio_buffer.cleared")

    def _truncated(self, event: ItemTruncated) -> list[bytes]:
        return _custom("conversation.item.truncated", item_id=event.item_id, audio_end_ms=event.audio_end_ms,
                       content_index=event.content_index)

    def _deleted(self, event: ItemDeleted) -> list[bytes]:
        return _custom("conversation.item.deleted", item_id=event.item_id)

    def _untranscribed(self, event: TranscriptionFailed) -> list[bytes]:
        return _custom("conversation.item.input_audio_transcription.failed", item_id=event.item_id,
                       code=event.fault.code, message=event.fault.message)


def last_words(reason: CloseReason, detail: str = "") -> list[bytes]:
    """An `error` before the socket is closed; nothing where the end is no fault (HTTP status 200)."""
    if reason.http_status == 200:
        return []
    word = "model_not_found" if reason is CloseReason.UNKNOWN_MODEL else error_type("", reason.http_status)
    return _frame({"type": "error", "message": detail or reason.text, "code": word,
                   "raw": {"code": reason.code, "retryable": reason.retryable}})


def _frame(message: dict[str, Any]) -> list[bytes]:
    data = orjson.dumps(message)
    if len(data) <= limits.MAX_AI_SDK_FRAME_CHARS or message["type"] == "conversation-item-added":
        return [data]
    return _error(Fault("server_error", "too_large", f"A {message['type']} event is too large for this protocol."))


def _custom(raw_type: str, **members: Any) -> list[bytes]:
    """An event outside the protocol, under the name that OpenAI gives it where OpenAI has it."""
    raw = {name: value for name, value in members.items() if value is not None}
    return _frame({"type": "custom", "rawType": raw_type, "raw": {"type": raw_type, **raw}})


def _error(fault: Fault) -> list[bytes]:
    raw = {name: value for name in ("type", "code", "param") if (value := getattr(fault, name)) is not None}
    asked = {"clientEventId": fault.request_id} if fault.request_id else {}
    return _frame({"type": "error", "message": fault.message or "Unknown error", "code": error_type(fault.type),
                   **asked, "raw": raw})


def _decoded(audio: str) -> bytes:
    """Base64 of either alphabet; b"" for what is neither."""
    try:
        return binascii.a2b_base64(audio.replace("-", "+").replace("_", "/").encode() + b"==")
    except (binascii.Error, UnicodeEncodeError):
        return b""


def _item(item: Item) -> dict[str, Any]:
    """An item in OpenAI's shape, without audio."""
    members: dict[str, Any] = {"id": item.id, "type": item.type, "status": item.status}
    for name in ("role", "call_id", "name", "arguments", "output"):
        if (value := getattr(item, name)) is not None:
            members[name] = value
    if item.type == "message":
        members["content"] = [_part(part.type, part.text) for part in item.content]
    return members


def _part(type: str, text: str | None) -> dict[str, Any]:
    if text is None:
        return {"type": type}
    return {"type": type, "transcript" if type.endswith("audio") else "text": text}


def _usage(usage: Usage | None) -> dict[str, Any]:
    """`{"usage": …}` in the client's names, or nothing when nothing was counted. Input counts include cached ones."""
    if usage is None:
        return {}
    counts: dict[str, float] = {
        "inputTokens": usage.input_text + usage.input_audio,
        "outputTokens": usage.output_text + usage.output_audio,
        "cachedInputTokens": usage.cached_text + usage.cached_audio,
        "inputTextTokens": usage.input_text,
        "inputAudioTokens": usage.input_audio,
        "outputTextTokens": usage.output_text,
        "outputAudioTokens": usage.output_audio,
        "cachedInputTextTokens": usage.cached_text,
        "cachedInputAudioTokens": usage.cached_audio,
    }
    if not any(counts.values()):
        counts = {}
    if usage.seconds is not None:
        counts["seconds"] = usage.seconds
    return {"usage": counts} if counts else {}


_WRITERS: dict[type[Event], Callable[[HappeningWriter, Any], list[bytes]]] = {
    SessionOpened: HappeningWriter._opened,
    SettingsApplied: HappeningWriter._applied,
    SpeechStarted: HappeningWriter._speech_started,
    SpeechStopped: HappeningWriter._speech_stopped,
    IdleTimedOut: HappeningWriter._idle,
    AudioCommitted: HappeningWriter._committed,
    AudioCleared: HappeningWriter._cleared,
    ItemAdded: HappeningWriter._added,
    ItemTruncated: HappeningWriter._truncated,
    ItemDeleted: HappeningWriter._deleted,
    InputTranscribed: HappeningWriter._transcribed,
    TranscriptionFailed: HappeningWriter._untranscribed,
    ResponseStarted: HappeningWriter._started,
    OutputItemStarted: HappeningWriter._item_started,
    OutputItemFinished: HappeningWriter._item_finished,
    TranscriptProduced: HappeningWriter._words,
    TextProduced: HappeningWriter._words,
    ToolArgumentsProduced: HappeningWriter._arguments,
    ToolCalled: HappeningWriter._called,
    ResponseFinished: HappeningWriter._finished,
    Acknowledged: HappeningWriter._acknowledged,
    Warned: HappeningWriter._warned,
    Unmapped: HappeningWriter._unmapped,
    Failed: HappeningWriter._failed,
    Rejected: HappeningWriter._failed,
}
