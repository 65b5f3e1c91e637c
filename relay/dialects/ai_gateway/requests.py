"""What AI SDK callers send -> our requests (`@ai-sdk/provider` 4.0.38 `realtime-model-v4-client-event.ts`)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from relay import limits
from relay.dialects.ai_gateway.config import modality, read_config
from relay.dialects.ai_gateway.fields import Wrong, check_tree, clip, decoded_size, number, table, text
from relay.events import (
    Acknowledged,
    AudioAppended,
    CancelRequested,
    ClearRequested,
    CommitRequested,
    Event,
    ItemCreateRequested,
    ItemTruncateRequested,
    Rejected,
    ResponseRequested,
    SettingsRequested,
)
from relay.nouns import Fault, Item, Part, ResponseOptions, Settings

_SILENCE = {"pcm16": b"\x00", "mulaw": b"\xff", "alaw": b"\xd5"}
"""The byte of digital silence; G.711 is ITU-T G.711 tables 1a and 2a, with even bits inverted for A-law."""

_MAX_AUDIO_END_MS = limits.MAX_SESSION_S * 1000


class RequestReader:
    """Reads one caller's frames.

    `settings` are those in effect: the owner keeps them up to date. They decide what a partial update is laid over
    and what silence looks like.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._muted = False

    def decode(self, frame: bytes, *, binary: bool = False) -> list[Event]:
        """One frame -> requests, or one `Rejected`. Never raises.

        Speech is not decoded here: only the length of its base64 is checked, not the alphabet.
        """
        if binary:
            return _rejected("Frames of this protocol are JSON text, not binary.", "binary_frame")
        try:
            message = orjson.loads(frame)
        except orjson.JSONDecodeError:
            return _rejected("The frame is not valid JSON.", "invalid_json")
        if type(message) is not dict:
            return _rejected("The frame is not a JSON object.", "invalid_json")
        # HOT: the hook's microphone frame has these two members and no others.
        if len(message) == 2 and not self._muted and message.get("type") == "input-audio-append":
            audio = message.get("audio")
            if type(audio) is str and decoded_size(audio) > 0:
                return [AudioAppended(audio)]
        event_id = message.get("eventId")
        request_id = event_id if isinstance(event_id, str) and len(event_id) <= limits.MAX_EVENT_ID_CHARS else None
        try:
            check_tree(message)
            if event_id is not None and request_id is None:
                raise Wrong(f"eventId must be a string of at most {limits.MAX_EVENT_ID_CHARS} characters.", "eventId")
            read = _READERS.get(text(message, "type"))
            if read is None:
                raise Wrong(f"There is no client event of type {message['type'][:64]!r}.", "type")
            return read(self, message, request_id)
        except Wrong as wrong:
            return _rejected(str(wrong), "invalid_value", wrong.param, request_id)

    def _is_whole(self, size_bytes: int) -> bool:
        return size_bytes > 0 and size_bytes % self.settings.input_format.sample_bytes == 0

    def _settings(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        changes, warnings = read_config(table(message, "config"), self.settings)
        return [SettingsRequested(changes, request_id), *warnings]

    def _append(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        audio = text(message, "audio")
        size_bytes = decoded_size(audio)
        if not audio:
            return []
        if size_bytes <= 0:
            raise Wrong("audio must be padded base64.", "audio")
        if self._muted:
            # Silence, not nothing: the clock of turn detection is the audio itself.
            return [AudioAppended(_SILENCE[self.settings.input_format.encoding] * size_bytes, request_id)]
        return [AudioAppended(audio, request_id)]

    def _commit(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        return [CommitRequested(request_id=request_id)]

    def _clear(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        return [ClearRequested(request_id)]

    def _mute(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        self._muted = message["type"] == "input-audio-mute"
        return [Acknowledged(message["type"], request_id)]

    def _context(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        if message.get("delegationId") is not None:
            raise Wrong("There is no such delegation: this conversation is turn-based.", "delegationId")
        content = (Part("input_text", text(message, "content")),)
        item = Item("", "message", role="system", content=content)
        return [ItemCreateRequested(item, request_id=request_id), Acknowledged("context-append", request_id)]

    def _item(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        given, path = table(message, "item"), "item."
        kind = text(given, "type", path)
        if kind == "function-call-output":
            name = text(given, "name", path) if "name" in given else None
            call_id, output = text(given, "callId", path), text(given, "output", path)
            item = Item("", "function_call_output", call_id=call_id, name=name, output=output)
        elif kind in ("text-message", "audio-message"):
            if given.get("role") != "user":
                raise Wrong("item.role must be user.", "item.role")
            if kind == "text-message":
                part = Part("input_text", text(given, "text", path))
            else:
                part = Part("input_audio", audio=clip(given, "audio", path))
                if not self._is_whole(len(part.audio or b"")):
                    raise Wrong("item.audio must be whole samples of the input format.", "item.audio")
            item = Item("", "message", role="user", content=(part,))
        else:
            raise Wrong("item.type must be text-message, audio-message or function-call-output.", "item.type")
        return [ItemCreateRequested(item, request_id=request_id)]

    def _truncate(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        # Never an error: the hook's position is approximate, and its items may be of an earlier connection.
        end_ms = round(number(message, "audioEndMs", float("-inf"), float("inf")))
        index = int(number(message, "contentIndex", 0, 1_000)) if "contentIndex" in message else 0
        end_ms = int(min(max(end_ms, 0), _MAX_AUDIO_END_MS))
        return [ItemTruncateRequested(text(message, "itemId"), end_ms, index, strict=False, request_id=request_id)]

    def _respond(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        given = table(message, "options") if "options" in message else {}
        wanted: dict[str, Any] = {}
        if "modalities" in given:
            wanted["modality"] = modality(given, "modalities", "options.")
        if "instructions" in given:
            wanted["instructions"] = text(given, "instructions", "options.")
        if "metadata" in given:
            members = table(given, "metadata", "options.")
            wanted["metadata"] = {k: v if isinstance(v, str) else orjson.dumps(v).decode() for k, v in members.items()}
        # The hook asks without cancelling first, also while it is being spoken to: the new answer takes over.
        return [ResponseRequested(ResponseOptions(**wanted), takeover=True, request_id=request_id)]

    def _cancel(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        return [CancelRequested(strict=False, request_id=request_id)]

    def _continuous_only(self, message: dict[str, Any], request_id: str | None) -> list[Event]:
        raise Wrong(f"{message['type']} is for continuous models; this conversation is turn-based: open it with "
                    "session-update and end it by closing the socket.", "type")


def _rejected(message: str, code: str, param: str | None = None, request_id: str | None = None) -> list[Event]:
    return [Rejected(Fault("invalid_request_error", code, message, param, request_id))]


_READERS: dict[str, Callable[[RequestReader, dict[str, Any], str | None], list[Event]]] = {
    "session-update": RequestReader._settings,
    "input-audio-append": RequestReader._append,
    "input-audio-commit": RequestReader._commit,
    "input-audio-clear": RequestReader._clear,
    "input-audio-mute": RequestReader._mute,
    "input-audio-unmute": RequestReader._mute,
    "context-append": RequestReader._context,
    "conversation-item-create": RequestReader._item,
    "conversation-item-truncate": RequestReader._truncate,
    "response-create": RequestReader._respond,
    "response-cancel": RequestReader._cancel,
    "session-start": RequestReader._continuous_only,
    "session-close": RequestReader._continuous_only,
}
