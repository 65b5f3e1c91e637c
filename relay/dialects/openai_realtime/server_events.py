"""Happenings as server events, with the whole ceremony that the protocol makes of them (sections 9 and 10).

Our vocabulary says that an item began, what it consists of, and that it ended; the protocol announces it twice (in
the response and in the conversation), opens and closes its content parts, and repeats at the end what was streamed.
What was announced and streamed is remembered here until the response is done, so that every `added` gets its `done`
and the deltas add up to it (section 16.1, points 25 and 26).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from relay import events, limits
from relay.dialects.openai_realtime.items import item_object, transcription_usage_object
from relay.dialects.openai_realtime.responses import response_object
from relay.dialects.openai_realtime.shapes import session_object
from relay.dialects.openai_realtime.wire import quoted
from relay.events import AudioProduced, Event, Unmapped
from relay.nouns import Fault, Settings

_AUDIO_HEAD: Final = b'{"type":"response.output_audio.delta","event_id":"event_relay'
_Delta = events.AudioProduced | events.TranscriptProduced | events.TextProduced


@dataclass(slots=True)
class _OpenPart:
    type: Literal["audio", "text"]
    words: list[str] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """The part of `content_part.*`, whose types lack the `output_` that they have in an item (section 9.5)."""
        return {"type": self.type, "transcript" if self.type == "audio" else "text": "".join(self.words)}


@dataclass(slots=True)
class _OpenItem:
    place: dict[str, Any]
    """response_id, item_id, output_index: what its events begin with."""
    in_conversation: bool
    previous: dict[str, str | None]
    """previous_item_id, where it is known."""
    parts: dict[int, _OpenPart] = field(default_factory=dict)
    arguments: str = ""
    arguments_done: bool = False


class ServerEvents:
    """Writes the server events of one session.

    Args:
        session_id: shown until the session names its own.
        passthrough: events that came as frames of this dialect leave as those frames.
    """

    def __init__(self, session_id: str, passthrough: bool) -> None:
        self.settings = Settings()
        self._session = (session_id, 0)
        self._passthrough = passthrough
        self._count = 0
        self._out_of_band: dict[str, None] = {}
        self._items: dict[str, _OpenItem] = {}
        self._audio_tails: dict[tuple[str, int], bytes] = {}
        self._last_item: str | None = None
        """The end of the conversation; None while it is empty, "" when it is not known."""

    def encode(self, event: Event) -> list[bytes]:
        """The frames that tell the caller of `event`; none when the protocol has no word for it."""
        if type(event) is AudioProduced:
            return self._audio(event)
        if type(event) is Unmapped:
            return [event.raw] if self._passthrough and event.source == "model" else []
        write = _WRITERS.get(type(event))
        if write is None:
            return []
        frames = write(self, event)  # also when they are not sent: the relay may have to finish what a model began
        raw = getattr(event, "raw", None) if self._passthrough else None
        return frames if raw is None else [raw]

    def _frame(self, kind: str, **members: Any) -> bytes:
        self._count += 1
        return orjson.dumps({"type": kind, "event_id": f"event_relay{self._count}", **members})

    def error(self, fault: Fault) -> list[bytes]:
        """An `error` event."""
        shown = {"type": fault.type, "code": fault.code, "message": fault.message, "param": fault.param}
        return [self._frame("error", error={**shown, "event_id": fault.request_id})]

    # --- what is streamed -----------------------------------------------------------------------------------

    def _audio(self, event: AudioProduced) -> list[bytes]:
        """HOT: written around the payload instead of through a dict; quoting it costs next to nothing."""
        key = (event.item_id, event.content_index)
        tail = self._audio_tails.get(key)
        if tail is None:
            frames, part = self._part(event, "audio")
            tail = _audio_tail(event)
            if part is not None:
                self._audio_tails[key] = tail
        else:
            frames = []
        if self._passthrough and event.raw is not None:
            return [event.raw]
        self._count += 1
        frames.append(b"%b%d%b%b}" % (_AUDIO_HEAD, self._count, tail, quoted(event.audio)))
        return frames

    def _part(self, event: _Delta, kind: Literal["audio", "text"]) -> tuple[list[bytes], _OpenPart | None]:
        """The part that a delta belongs to, announced by the returned frames if this is its first."""
        item = self._items.get(event.item_id)
        if item is None:
            return [], None
        part = item.parts.get(event.content_index)
        if part is not None or len(item.parts) >= limits.MAX_OPEN_ITEMS:
            return [], part
        part = item.parts[event.content_index] = _OpenPart(kind)
        return [self._frame("response.content_part.added", **_place_of(event), part=part.shown())], part

    def _words(self, event: events.TranscriptProduced | events.TextProduced) -> list[bytes]:
        spoken = isinstance(event, events.TranscriptProduced)
        frames, part = self._part(event, "audio" if spoken else "text")
        if part is not None:
            part.words.append(event.delta)
        kind = "response.output_audio_transcript.delta" if spoken else "response.output_text.delta"
        return [*frames, self._frame(kind, **_place_of(event), delta=event.delta)]

    def _arguments(self, event: events.ToolArgumentsProduced) -> list[bytes]:
        item = self._items.get(event.item_id)
        if item is not None:
            item.arguments += event.delta
        place = {"response_id": event.response_id, "item_id": event.item_id, "output_index": event.output_index}
        kind = "response.function_call_arguments.delta"
        return [self._frame(kind, **place, call_id=event.call_id, delta=event.delta)]

    def _called(self, event: events.ToolCalled) -> list[bytes]:
        item = self._items.get(event.item_id) or self._open(event.response_id, event.item_id, event.output_index)
        return self._arguments_done(item, event.call_id, event.name, event.arguments)

    def _arguments_done(self, item: _OpenItem, call_id: str, name: str, arguments: str) -> list[bytes]:
        frames = []
        kind = "response.function_call_arguments"
        if arguments != item.arguments and arguments.startswith(item.arguments):
            rest = arguments[len(item.arguments) :]
            frames.append(self._frame(f"{kind}.delta", **item.place, call_id=call_id, delta=rest))
        item.arguments, item.arguments_done = arguments, True
        frames.append(self._frame(f"{kind}.done", **item.place, call_id=call_id, name=name, arguments=arguments))
        return frames

    # --- responses ------------------------------------------------------------------------------------------

    def _response_started(self, event: events.ResponseStarted) -> list[bytes]:
        if event.conversation_id is None:
            self._out_of_band[event.response_id] = None
            _forget_oldest(self._out_of_band)
        return [self._frame("response.created", response=response_object(event, self.settings))]

    def _response_finished(self, event: events.ResponseFinished) -> list[bytes]:
        self._out_of_band.pop(event.response_id, None)
        for item_id, item in list(self._items.items()):
            if item.place["response_id"] == event.response_id:
                del self._items[item_id]
        self._audio_tails = {key: tail for key, tail in self._audio_tails.items() if key[0] in self._items}
        return [self._frame("response.done", response=response_object(event, self.settings))]

    def _open(self, response_id: str, item_id: str, output_index: int) -> _OpenItem:
        place = {"response_id": response_id, "item_id": item_id, "output_index": output_index}
        previous = {} if self._last_item == "" else {"previous_item_id": self._last_item}
        return _OpenItem(place, response_id not in self._out_of_band, previous)

    def _item_started(self, event: events.OutputItemStarted) -> list[bytes]:
        item = self._items[event.item.id] = self._open(event.response_id, event.item.id, event.output_index)
        _forget_oldest(self._items)
        shown = {**item_object(event.item), "status": "in_progress"}
        frames = [self._output_item("added", item, shown)]
        if item.in_conversation and self._last_item != event.item.id:
            frames.append(self._frame("conversation.item.added", **item.previous, item=shown))
            self._last_item = event.item.id
        return frames

    def _item_finished(self, event: events.OutputItemFinished) -> list[bytes]:
        item = self._items.get(event.item.id) or self._open(event.response_id, event.item.id, event.output_index)
        frames = []
        for index, part in sorted(item.parts.items()):
            place = {**item.place, "content_index": index}
            words = "".join(part.words)
            if part.type == "audio":
                frames.append(self._frame("response.output_audio.done", **place))
                frames.append(self._frame("response.output_audio_transcript.done", **place, transcript=words))
            else:
                frames.append(self._frame("response.output_text.done", **place, text=words))
            frames.append(self._frame("response.content_part.done", **place, part=part.shown()))
        call = event.item
        if call.type == "function_call" and not item.arguments_done:
            arguments = call.arguments or item.arguments
            frames += self._arguments_done(item, call.call_id or "", call.name or "", arguments)
        shown = item_object(event.item)
        if item.in_conversation:
            frames.append(self._frame("conversation.item.done", **item.previous, item=shown))
        return [*frames, self._output_item("done", item, shown)]

    def _output_item(self, what: str, item: _OpenItem, shown: dict[str, Any]) -> bytes:
        place = {name: item.place[name] for name in ("response_id", "output_index")}
        return self._frame(f"response.output_item.{what}", **place, item=shown)

    # --- the conversation -----------------------------------------------------------------------------------

    def _item_event(self, event: events.ItemAdded | events.ItemFinished) -> list[bytes]:
        if event.item.id in self._items:
            return []  # an answer's item: said with the response's own events, once
        kind = "conversation.item.done"
        if isinstance(event, events.ItemAdded):
            kind = "conversation.item.added"
            if self._last_item in (event.previous_item_id, ""):
                self._last_item = event.item.id
        shown = item_object(event.item)
        return [self._frame(kind, previous_item_id=event.previous_item_id, item=shown)]

    def _deleted(self, event: events.ItemDeleted) -> list[bytes]:
        if event.item_id == self._last_item:
            self._last_item = ""
        return [self._frame("conversation.item.deleted", item_id=event.item_id)]

    def _transcribed(self, event: events.InputTranscribed) -> list[bytes]:
        kind = "conversation.item.input_audio_transcription"
        place = {"item_id": event.item_id, "content_index": 0}
        if event.final:
            usage = transcription_usage_object(event.usage)
            return [self._frame(f"{kind}.completed", **place, transcript=event.text, usage=usage)]
        # There is no event for revised words: `completed` sets them right.
        return [self._frame(f"{kind}.delta", **place, delta=event.delta)] if event.delta else []

    def _transcription_failed(self, event: events.TranscriptionFailed) -> list[bytes]:
        fault = event.fault
        # openai-agents for JavaScript accepts an absent member here, but no null.
        error = {"type": fault.type, "code": fault.code, "message": fault.message}
        error.update({"param": fault.param} if fault.param else {})
        kind = "conversation.item.input_audio_transcription.failed"
        return [self._frame(kind, item_id=event.item_id, content_index=0, error=error)]

    # --- the session ----------------------------------------------------------------------------------------

    def _opened(self, event: events.SessionOpened) -> list[bytes]:
        self.settings, self._session = event.settings, (event.session_id, event.expires_at)
        return [self._frame("session.created", session=session_object(event.settings, *self._session))]

    def _applied(self, event: events.SettingsApplied) -> list[bytes]:
        self.settings = event.settings
        return [self._frame("session.updated", session=session_object(event.settings, *self._session))]

    def _warned(self, event: events.Warned) -> list[bytes]:
        warning = {"code": event.code, "message": event.message, "param": event.param}
        return [self._frame("rate_limits.updated", rate_limits=[], relay_warning=warning)]


def _place_of(event: _Delta) -> dict[str, Any]:
    return {
        "response_id": event.response_id,
        "item_id": event.item_id,
        "output_index": event.output_index,
        "content_index": event.content_index,
    }


def _audio_tail(event: AudioProduced) -> bytes:
    return b'",' + orjson.dumps(_place_of(event))[1:-1] + b',"delta":'


def _forget_oldest(kept: dict[str, Any]) -> None:
    while len(kept) > limits.MAX_OPEN_ITEMS:
        del kept[next(iter(kept))]


def _same_members(kind: str, *names: str) -> Callable[[ServerEvents, Any], list[bytes]]:
    """Events whose members are those of ours, by the same names."""
    return lambda self, event: [self._frame(kind, **{name: getattr(event, name) for name in names})]


_WRITERS: Final[Mapping[type[Event], Callable[[ServerEvents, Any], list[bytes]]]] = {
    events.SessionOpened: ServerEvents._opened,
    events.SettingsApplied: ServerEvents._applied,
    events.SpeechStarted: _same_members("input_audio_buffer.speech_started", "audio_start_ms", "item_id"),
    events.SpeechStopped: _same_members("input_audio_buffer.speech_stopped", "audio_end_ms", "item_id"),
    events.IdleTimedOut: _same_members(
        "input_audio_buffer.timeout_triggered", "audio_start_ms", "audio_end_ms", "item_id"
    ),
    events.AudioCommitted: _same_members("input_audio_buffer.committed", "previous_item_id", "item_id"),
    events.AudioCleared: _same_members("input_audio_buffer.cleared"),
    events.ItemAdded: ServerEvents._item_event,
    events.ItemFinished: ServerEvents._item_event,
    events.ItemRetrieved: lambda self, event: [
        self._frame("conversation.item.retrieved", item=item_object(event.item, audio=True))
    ],
    events.ItemTruncated: _same_members("conversation.item.truncated", "item_id", "content_index", "audio_end_ms"),
    events.ItemDeleted: ServerEvents._deleted,
    events.InputTranscribed: ServerEvents._transcribed,
    events.TranscriptionFailed: ServerEvents._transcription_failed,
    events.ResponseStarted: ServerEvents._response_started,
    events.OutputItemStarted: ServerEvents._item_started,
    events.TranscriptProduced: ServerEvents._words,
    events.TextProduced: ServerEvents._words,
    events.ToolArgumentsProduced: ServerEvents._arguments,
    events.ToolCalled: ServerEvents._called,
    events.OutputItemFinished: ServerEvents._item_finished,
    events.ResponseFinished: ServerEvents._response_finished,
    events.Warned: ServerEvents._warned,
    events.Failed: lambda self, event: self.error(event.fault),
    events.Rejected: lambda self, event: self.error(event.fault),
}
