"""The client's side: requests become client events, what the model sends becomes happenings (sections 7 to 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

import orjson

from relay import events, limits
from relay.dialects.openai_realtime.items import item_seen, item_wish, usage_seen
from relay.dialects.openai_realtime.responses import options_seen, options_wish
from relay.dialects.openai_realtime.shapes import session_wish, settings_seen
from relay.dialects.openai_realtime.wire import MAX_INTEGER, Invalid, loads, quoted
from relay.events import AudioAppended, AudioProduced, Event, Failed, TextProduced, TranscriptProduced, Unmapped
from relay.nouns import Fault

_UNNAMED: Final = "conv_default"
"""The conversation of a response, for servers that do not name it; only null means out of band."""


class OpenAIModel:
    """The client's side of one session.

    Args:
        passthrough: the caller speaks this dialect too, so requests that came as its frames leave as those frames.
            Requests that the session made or changed have no `raw` and are written here.
    """

    name = "openai_realtime"

    def __init__(self, passthrough: bool = False) -> None:
        self._passthrough = passthrough
        self.transcripts: dict[str, str] = {}
        """Of the caller's items that are being written down: the words so far."""

    def encode(self, event: Event) -> list[bytes]:
        """How to ask the model for it; what the protocol has no word for gives an empty list."""
        if type(event) is AudioAppended:
            # HOT: written around the payload instead of through a dict.
            if self._passthrough and event.raw is not None:
                return [event.raw]
            return [b'{"type":"input_audio_buffer.append","audio":%b}' % quoted(event.audio)]
        if type(event) is Unmapped:
            return [event.raw] if self._passthrough and event.source == "caller" else []
        write = _REQUESTS.get(type(event))
        if write is None:
            return []
        raw = getattr(event, "raw", None)
        if self._passthrough and raw is not None:
            return [raw]
        kind, members = write(event)
        request_id = getattr(event, "request_id", None)
        return [orjson.dumps({"type": kind, **({"event_id": request_id} if request_id else {}), **members})]

    def decode(self, frame: bytes, *, binary: bool = False) -> list[Event]:
        """What the model did: one event for every frame, `Unmapped` where we have no word for it. Never raises.

        A frame that cannot be read is a `Failed` without `raw`: it is not passed on. The base64 of audio is not
        looked at: whoever needs the samples decodes it.
        """
        try:
            if binary:
                raise Invalid("invalid_event", "It is binary.")
            message = loads(frame)
            kind = message.get("type")
            # HOT: fifty a second of these, and their members are where they should be.
            if kind == "response.output_audio.delta":
                return [AudioProduced(*_delta(message), frame)]
            read = _HAPPENINGS.get(kind) if isinstance(kind, str) else _no_type
            return [read(self, message, frame) if read else Unmapped(cast(str, kind), "model", frame)]
        except Invalid as problem:
            words = f"The model sent a frame that cannot be read. {problem.message}"
            return [Failed(Fault("server_error", "model_frame_invalid", words))]


# --- requests to client events ------------------------------------------------------------------------------

_Written = tuple[str, dict[str, Any]]


def _item_create(event: events.ItemCreateRequested) -> _Written:
    place = {} if event.after_id is None else {"previous_item_id": event.after_id}
    return "conversation.item.create", {**place, "item": item_wish(event.item)}


def _item_truncate(event: events.ItemTruncateRequested) -> _Written:
    place = {"item_id": event.item_id, "content_index": event.content_index}
    return "conversation.item.truncate", {**place, "audio_end_ms": event.audio_end_ms}


def _cancel(event: events.CancelRequested) -> _Written:
    return "response.cancel", {"response_id": event.response_id} if event.response_id else {}


_REQUESTS: Final[Mapping[type[Event], Callable[[Any], _Written]]] = {
    events.SettingsRequested: lambda event: ("session.update", {"session": session_wish(event.changes)}),
    events.CommitRequested: lambda event: ("input_audio_buffer.commit", {}),
    events.ClearRequested: lambda event: ("input_audio_buffer.clear", {}),
    events.ItemCreateRequested: _item_create,
    events.ItemTruncateRequested: _item_truncate,
    events.ItemDeleteRequested: lambda event: ("conversation.item.delete", {"item_id": event.item_id}),
    events.ItemRetrieveRequested: lambda event: ("conversation.item.retrieve", {"item_id": event.item_id}),
    events.ResponseRequested: lambda event: ("response.create", {"response": options_wish(event.options)}),
    events.CancelRequested: _cancel,
}


# --- server events to happenings ----------------------------------------------------------------------------


def _word(message: Mapping[str, Any], name: str) -> str:
    value = message.get(name)
    return value if type(value) is str else ""


def _word_or_none(message: Mapping[str, Any], name: str) -> str | None:
    return _word(message, name) or None


def _count(message: Mapping[str, Any], name: str) -> int:
    value = message.get(name)
    return value if type(value) is int and 0 <= value <= MAX_INTEGER else 0


def _object(message: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = message.get(name)
    if type(value) is not dict:
        raise Invalid("invalid_event", f"'{name}' is not an object.")
    return value


def _delta(message: Mapping[str, Any]) -> tuple[str, str, str, int, int]:
    """response_id, item_id, delta, output_index, content_index. HOT where all are as they should be."""
    try:
        response_id, item_id, delta = message["response_id"], message["item_id"], message["delta"]
        output_index, content_index = message["output_index"], message["content_index"]
    except KeyError:
        return _odd_delta(message)
    if type(response_id) is type(item_id) is type(delta) is str and type(output_index) is type(content_index) is int:
        return response_id, item_id, delta, output_index, content_index
    return _odd_delta(message)


def _odd_delta(message: Mapping[str, Any]) -> tuple[str, str, str, int, int]:
    delta = message.get("delta")
    if type(delta) is not str:
        raise Invalid("invalid_event", "'delta' is not a string.")
    return (
        _word(message, "response_id"),
        _word(message, "item_id"),
        delta,
        _count(message, "output_index"),
        _count(message, "content_index"),
    )


def _no_type(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    raise Invalid("invalid_event", "It has no type.")


def _session_opened(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    session = _object(message, "session")
    return events.SessionOpened(_word(session, "id"), settings_seen(session), _count(session, "expires_at"), raw)


def _settings_applied(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    return events.SettingsApplied(settings_seen(_object(message, "session")), raw)


def _fault_of(error: Mapping[str, Any]) -> Fault:
    kind = _word(error, "type") or "server_error"
    message = _word(error, "message") or "The model reported an error without words."
    param, request_id = _word_or_none(error, "param"), _word_or_none(error, "event_id")
    return Fault(kind, _word(error, "code") or kind, message, param, request_id)


def _failed(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    return Failed(_fault_of(_object(message, "error")), raw)


def _limits_or_warning(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    warning = message.get("relay_warning")  # the model is a relay like this one
    if type(warning) is dict:
        return events.Warned(_word(warning, "code"), _word(warning, "message"), _word_or_none(warning, "param"))
    return Unmapped("rate_limits.updated", "model", raw)


def _transcribed(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    item_id, delta = _word(message, "item_id"), _word(message, "delta")
    so_far = model.transcripts.pop(item_id, "") + delta
    model.transcripts[item_id] = so_far
    while len(model.transcripts) > limits.MAX_OPEN_ITEMS:
        del model.transcripts[next(iter(model.transcripts))]
    return events.InputTranscribed(item_id, so_far, False, delta, raw=raw)


def _transcription_completed(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    item_id = _word(message, "item_id")
    model.transcripts.pop(item_id, None)
    usage = usage_seen(message.get("usage"))
    return events.InputTranscribed(item_id, _word(message, "transcript"), True, usage=usage, raw=raw)


def _transcription_failed(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    item_id = _word(message, "item_id")
    model.transcripts.pop(item_id, None)
    return events.TranscriptionFailed(item_id, _fault_of(_object(message, "error")), raw)


def _conversation_of(response: Mapping[str, Any]) -> str | None:
    return None if response.get("conversation_id", "") is None else _word(response, "conversation_id") or _UNNAMED


def _response_started(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    response = _object(message, "response")
    return events.ResponseStarted(_word(response, "id"), options_seen(response), _conversation_of(response), raw)


def _response_finished(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    response = _object(message, "response")
    details = response.get("status_details")
    details = details if type(details) is dict else {}
    error = details.get("error")
    status = _word(response, "status")
    output = response.get("output")
    return events.ResponseFinished(
        response_id=_word(response, "id"),
        status=cast(Any, status if status in ("completed", "cancelled", "incomplete") else "failed"),
        reason=_word_or_none(details, "reason"),
        fault=_fault_of(error) if type(error) is dict else None,
        output=tuple(item_seen(item) for item in output) if type(output) is list else (),
        usage=usage_seen(response.get("usage")),
        options=options_seen(response),
        conversation_id=_conversation_of(response),
        raw=raw,
    )


def _item_of(event: Callable[..., Event]) -> Callable[[OpenAIModel, dict[str, Any], bytes], Event]:
    """`conversation.item.added` and `.done`."""
    return lambda model, message, raw: event(
        item_seen(_object(message, "item")), _word_or_none(message, "previous_item_id"), raw
    )


def _output_item(event: Callable[..., Event]) -> Callable[[OpenAIModel, dict[str, Any], bytes], Event]:
    """`response.output_item.added` and `.done`."""
    return lambda model, message, raw: event(
        _word(message, "response_id"), item_seen(_object(message, "item")), _count(message, "output_index"), raw
    )


def _arguments(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    response_id, item_id, delta, output_index, _ = _delta(message)
    return events.ToolArgumentsProduced(response_id, item_id, _word(message, "call_id"), delta, output_index, raw)


def _called(model: OpenAIModel, message: dict[str, Any], raw: bytes) -> Event:
    return events.ToolCalled(
        _word(message, "response_id"),
        _word(message, "item_id"),
        _word(message, "call_id"),
        _word(message, "name"),
        _word(message, "arguments") or "{}",
        _count(message, "output_index"),
        raw,
    )


def _same_members(event: Callable[..., Event], **read: Callable[..., Any]) -> Any:
    """Events whose members are those of ours, by the same names."""
    return lambda model, message, raw: event(**{name: take(message, name) for name, take in read.items()}, raw=raw)


_TRANSCRIPTION: Final = "conversation.item.input_audio_transcription"
_HAPPENINGS: Final[Mapping[str, Callable[[OpenAIModel, dict[str, Any], bytes], Event]]] = {
    "error": _failed,
    "session.created": _session_opened,
    "session.updated": _settings_applied,
    "rate_limits.updated": _limits_or_warning,
    "input_audio_buffer.speech_started": _same_members(events.SpeechStarted, item_id=_word, audio_start_ms=_count),
    "input_audio_buffer.speech_stopped": _same_members(events.SpeechStopped, item_id=_word, audio_end_ms=_count),
    "input_audio_buffer.timeout_triggered": _same_members(
        events.IdleTimedOut, item_id=_word, audio_start_ms=_count, audio_end_ms=_count
    ),
    "input_audio_buffer.committed": _same_members(events.AudioCommitted, item_id=_word, previous_item_id=_word_or_none),
    "input_audio_buffer.cleared": _same_members(events.AudioCleared),
    "conversation.item.added": _item_of(events.ItemAdded),
    "conversation.item.done": _item_of(events.ItemFinished),
    "conversation.item.retrieved": lambda model, message, raw: events.ItemRetrieved(
        item_seen(_object(message, "item")), raw
    ),
    "conversation.item.truncated": _same_members(
        events.ItemTruncated, item_id=_word, content_index=_count, audio_end_ms=_count
    ),
    "conversation.item.deleted": _same_members(events.ItemDeleted, item_id=_word),
    f"{_TRANSCRIPTION}.delta": _transcribed,
    f"{_TRANSCRIPTION}.completed": _transcription_completed,
    f"{_TRANSCRIPTION}.failed": _transcription_failed,
    "response.created": _response_started,
    "response.output_item.added": _output_item(events.OutputItemStarted),
    "response.output_audio_transcript.delta": lambda model, message, raw: TranscriptProduced(*_delta(message), raw),
    "response.output_text.delta": lambda model, message, raw: TextProduced(*_delta(message), raw),
    "response.function_call_arguments.delta": _arguments,
    "response.function_call_arguments.done": _called,
    "response.output_item.done": _output_item(events.OutputItemFinished),
    "response.done": _response_finished,
}
"""Type of a server event to what it means. What repeats others (`….done` of a part, `content_part.*`) is not here."""
