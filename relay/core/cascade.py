"""A model side that is composed here: transcriber, chat model, synthesizer. Pure: no I/O, no clock.

To the session it looks like any realtime model: it takes requests and gives happenings (as `Emit`); its own work is
done by engines at the rim, asked for with `Listen`, `Hear`, `FinishListening`, `Think`, `Speak` and `Drop`. It keeps
the conversation by the rules of the OpenAI Realtime protocol (sections 7, 10 and 12.2 of its reference).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from relay import events as e
from relay import limits
from relay.commands import Command, Drop, Emit, FinishListening, Hear, Listen, Think
from relay.core.conversation import Conversation, Entry, with_text
from relay.core.reply import Reply, Voice
from relay.nouns import AudioFormat, Fault, Item, Part, ResponseOptions, Settings, Usage

INPUT_TOKEN_MS, OUTPUT_TOKEN_MS = 100.0, 50.0
"""Audio per token, as OpenAI counts it (its guide on managing costs)."""


RETRIES = 2
"""How often a turn that is still being spoken is given to another transcriber after one failed."""


@dataclass(slots=True)
class Turn:
    """What the caller said since the last commit, or committed and not yet written down."""

    ref: str
    item_id: str
    audio: bytearray
    size_bytes: int = 0
    text: str = ""
    stable: str = ""
    """The words that two successive hypotheses agreed on; sent as deltas."""
    committed: bool = False
    overdue_at: float | None = None
    failures: int = 0
    full: bool = False


class Cascade:
    """One conversation with a composed model.

    Args:
        session_id: unique; the ids of items and responses are made from it.
        settings: what the session starts with.
        input_format: what the transcriber takes (`AudioAppended` arrives in it, as bytes).
        output_format: what the synthesizer gives (`AudioProduced` leaves in it, as bytes).
    """

    def __init__(
        self, session_id: str, settings: Settings, input_format: AudioFormat, output_format: AudioFormat
    ) -> None:
        self._tag = session_id.removeprefix("sess_")
        self.settings = settings
        self.input_format = input_format
        self.output_format = output_format
        self.conversation = Conversation()
        self._ids = 0
        self._now = 0.0
        self._out: list[Command] = []
        self._turn: Turn | None = None
        self._announced: str | None = None
        self._transcribing: dict[str, Turn] = {}
        self._replies: dict[str, Reply] = {}
        self._current: str | None = None
        """The response that writes to the conversation."""
        self._on: dict[type[e.Event], Callable[[Any], None]] = {
            e.SettingsRequested: self._settings_requested,
            e.TurnOpened: self._turn_opened,
            e.AudioAppended: self._audio_appended,
            e.CommitRequested: self._commit_requested,
            e.ClearRequested: self._clear_requested,
            e.ItemCreateRequested: self._item_create_requested,
            e.ItemTruncateRequested: self._truncate_requested,
            e.ItemDeleteRequested: self._delete_requested,
            e.ItemRetrieveRequested: self._retrieve_requested,
            e.ResponseRequested: self._response_requested,
            e.CancelRequested: self._cancel_requested,
            e.TranscriptHeard: self._transcript_heard,
            e.ReplyProduced: self._reply_produced,
            e.ReplyToolCalled: self._reply_tool_called,
            e.ReplyFinished: self._reply_finished,
            e.SpeechProduced: self._speech_produced,
            e.SpeechFinished: self._speech_finished,
            e.EngineFailed: self._engine_failed,
        }

    def handle(self, event: e.Event, now: float) -> list[Command]:
        """A request from the session, or a report from an engine. Never raises on what a peer sent."""
        self._now = now
        act = self._on.get(type(event))
        if act is not None:
            act(event)
        return self._taken()

    def deadline(self) -> float | None:
        """When `wake` must be called at the latest; None: never."""
        times = [turn.overdue_at for turn in self._transcribing.values() if turn.overdue_at is not None]
        times += [due for reply in self._replies.values() if (due := reply.next_speech) is not None]
        return min(times, default=None)

    def wake(self, now: float) -> list[Command]:
        """The deadline has come: speak on, or give up on a transcript."""
        self._now = now
        for turn in [turn for turn in self._transcribing.values() if (turn.overdue_at or now + 1) <= now]:
            self._out.append(Drop(turn.ref))
            self._transcript_failed(turn, "The transcript did not come in time.")
        for reply in list(self._replies.values()):
            self._out += reply.speak(now)
        return self._taken()

    def _taken(self) -> list[Command]:
        out, self._out = self._out, []
        return out

    def _emit(self, event: e.Event) -> None:
        self._out.append(Emit(event))

    def _fail(self, code: str, message: str, param: str | None = None, request_id: str | None = None) -> None:
        self._emit(e.Failed(Fault("invalid_request_error", code, message, param, request_id)))

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._tag}m{self._ids}"

    # --- settings and the caller's audio

    def _settings_requested(self, event: e.SettingsRequested) -> None:
        self.settings = replace(self.settings, **event.changes)
        self._emit(e.SettingsApplied(self.settings))

    def _turn_opened(self, event: e.TurnOpened) -> None:
        self._announced = event.item_id

    def _audio_appended(self, event: e.AudioAppended) -> None:
        if not isinstance(event.audio, bytes):
            return
        turn = self._turn
        if turn is None:
            item_id = self._announced or self._new_id("item")
            turn = self._turn = Turn(f"{item_id}/l", item_id, bytearray())
            self._announced = None
            wanted = self.settings.transcription
            self._out.append(Listen(turn.ref, wanted.language if wanted else None))
        turn.size_bytes += len(event.audio)
        if turn.size_bytes > limits.MAX_UNCOMMITTED_S * self.input_format.bytes_per_second:
            if not turn.full:
                self._fail("input_audio_buffer_full", "Too much audio without a commit; the rest is dropped.")
            turn.full = True
            turn.size_bytes -= len(event.audio)
            return
        if len(turn.audio) < limits.MAX_ITEM_AUDIO_S * self.input_format.bytes_per_second:
            turn.audio += event.audio
        if turn.failures <= RETRIES:
            self._out.append(Hear(turn.ref, event.audio))

    def _commit_requested(self, event: e.CommitRequested) -> None:
        turn = self._turn
        held_ms = self.input_format.duration_ms(turn.size_bytes) if turn else 0.0
        if turn is None or held_ms < limits.MIN_COMMIT_MS:
            text = (
                "Error committing input audio buffer: buffer too small. "
                f"Expected at least {limits.MIN_COMMIT_MS}ms of audio, but buffer only has {held_ms:.2f}ms of audio."
            )
            self._fail("input_audio_buffer_commit_empty", text, None, event.request_id)
            return
        self._turn = None
        turn.committed = True
        turn.overdue_at = self._now + limits.TRANSCRIPT_DEADLINE_S
        self._transcribing[turn.ref] = turn
        item = Item(turn.item_id, "message", "user", content=(Part("input_audio"),))
        previous = self.conversation.add(Entry(item, audio=turn.audio))
        self._emit(e.AudioCommitted(turn.item_id, previous))
        self._emit(e.ItemAdded(item, previous))
        self._emit(e.ItemFinished(item, previous))
        if turn.failures > RETRIES:
            self._transcript_failed(turn, "The transcriber failed.")
        else:
            self._out.append(FinishListening(turn.ref))

    def _clear_requested(self, event: e.ClearRequested) -> None:
        if self._turn is not None:
            self._out.append(Drop(self._turn.ref))
            self._turn = None
        self._announced = None
        self._emit(e.AudioCleared())

    def _transcript_heard(self, event: e.TranscriptHeard) -> None:
        turn = self._transcribing.get(event.ref) or (self._turn if self._turn and self._turn.ref == event.ref else None)
        if turn is None:
            return
        shown = self.settings.transcription is not None
        if event.final:
            self._transcribing.pop(turn.ref, None)
            entry = self.conversation.get(turn.item_id)
            if entry is not None:
                entry.item = with_text(entry.item, event.text)
            if shown:
                tokens = int(self.input_format.duration_ms(turn.size_bytes) / INPUT_TOKEN_MS)
                usage = Usage(input_audio=tokens, output_text=len(event.text.split()) * 4 // 3)
                self._emit(e.InputTranscribed(turn.item_id, event.text, True, "", usage))
            self._answer_waiting()
        elif shown and event.text != turn.text:
            delta = _agreed(turn, event.text)
            turn.text = event.text
            self._emit(e.InputTranscribed(turn.item_id, event.text, False, delta))

    def _transcript_failed(self, turn: Turn, message: str) -> None:
        self._transcribing.pop(turn.ref, None)
        if turn is self._turn:
            self._turn = None
        entry = self.conversation.get(turn.item_id)
        if entry is not None:
            entry.item = with_text(entry.item, "")
        if self.settings.transcription is not None and turn.committed:
            fault = Fault("transcription_error", "transcription_failed", message)
            self._emit(e.TranscriptionFailed(turn.item_id, fault))
        self._answer_waiting()

    # --- items

    def _item_create_requested(self, event: e.ItemCreateRequested) -> None:
        item = event.item if event.item.id else replace(event.item, id=self._new_id("item"))
        if item.id in self.conversation:
            text = f"The conversation has an item {item.id[:64]!r}."
            self._fail("item_already_exists", text, "item.id", event.request_id)
            return
        if event.after_id not in (None, "root") and event.after_id not in self.conversation:
            text = f"The conversation has no item {str(event.after_id)[:64]!r}."
            self._fail("item_not_found", text, "previous_item_id", event.request_id)
            return
        audio = b"".join(part.audio for part in item.content if part.audio)
        item = replace(item, content=tuple(replace(part, audio=None) for part in item.content))
        previous = self.conversation.add(Entry(item, audio=bytearray(audio)), event.after_id)
        self._emit(e.ItemAdded(item, previous))
        self._emit(e.ItemFinished(item, previous))
        if audio and item.role == "user" and not any(part.text for part in item.content):
            turn = Turn(
                f"{item.id}/l",
                item.id,
                bytearray(),
                len(audio),
                committed=True,
                overdue_at=self._now + limits.TRANSCRIPT_DEADLINE_S,
            )
            self._transcribing[turn.ref] = turn
            self._out += [Listen(turn.ref), Hear(turn.ref, audio), FinishListening(turn.ref)]

    def _truncate_requested(self, event: e.ItemTruncateRequested) -> None:
        """OpenAI Realtime section 7.2. A second truncation refines the first: words are cut from the original."""
        entry, strict = self._spoken(event.item_id), event.strict
        if entry is None:
            if strict:
                known = event.item_id in self.conversation
                code = "unsupported_content_type" if known else "item_truncate_invalid_item_id"
                text = "Only model output audio messages can be truncated." if known else "There is no such item."
                self._fail(code, text, "item_id", event.request_id)
            return
        if event.audio_end_ms > entry.audio_ms + 1 and strict:
            text = f"Audio content of {int(entry.audio_ms)}ms is already shorter than {event.audio_end_ms}ms"
            self._fail("invalid_value", text, "audio_end_ms", event.request_id)
            return
        entry.heard_ms = min(max(0, event.audio_end_ms), entry.audio_ms)
        entry.item = with_text(entry.item, entry.heard_text(entry.heard_ms))
        self._emit(e.ItemTruncated(event.item_id, int(entry.heard_ms), event.content_index))

    def _spoken(self, item_id: str) -> Entry | None:
        """The entry of a spoken answer with audio, finished or in progress."""
        entry = self.conversation.get(item_id)
        if entry is None:
            spoken = (reply.message for reply in self._replies.values() if reply.message is not None)
            entry = next((message for message in spoken if message.item.id == item_id), None)
        return entry if entry is not None and entry.audio_ms else None

    def _delete_requested(self, event: e.ItemDeleteRequested) -> None:
        if self.conversation.remove(event.item_id):
            self._emit(e.ItemDeleted(event.item_id))
        else:
            self._fail("item_delete_invalid_item_id", "There is no such item.", "item_id", event.request_id)

    def _retrieve_requested(self, event: e.ItemRetrieveRequested) -> None:
        entry = self.conversation.get(event.item_id)
        if entry is None:
            self._fail("item_retrieve_invalid_item_id", "There is no such item.", "item_id", event.request_id)
            return
        audio = bytes(entry.audio)
        content = tuple(
            replace(part, audio=audio) if part.type == "input_audio" else part for part in entry.item.content
        )
        self._emit(e.ItemRetrieved(replace(entry.item, content=content)))

    # --- answers

    def _response_requested(self, event: e.ResponseRequested) -> None:
        options = event.options
        if self._current is not None and not options.out_of_band:
            text = f"Conversation already has an active response in progress: {self._current}."
            self._fail("conversation_already_has_active_response", text, None, event.request_id)
            return
        if len(self._replies) > limits.MAX_PENDING_TOOLS:
            self._fail("rate_limit_exceeded", "Too many responses at once.", None, event.request_id)
            return
        settings = self.settings
        modality = options.modality or settings.modality
        name = options.voice or settings.voice
        voice = Voice(self.output_format, name, settings.speed) if modality == "audio" else None
        filled = replace(options, modality=modality, voice=name)
        reply = Reply(self._new_id("resp"), filled, voice, lambda: self._new_id("item"))
        self._replies[reply.id] = reply
        if not options.out_of_band:
            self._current = reply.id
        self._emit(e.ResponseStarted(reply.id, filled, self._conversation_id(options)))
        if options.verbatim is not None:
            self._out += reply.written(options.verbatim, self._now) + reply.complete(self._now)
            self._enter(reply)
            self._settle(reply)
        else:
            self._think(reply)

    def _conversation_id(self, options: ResponseOptions) -> str | None:
        return None if options.out_of_band else f"conv_{self._tag}"

    def _think(self, reply: Reply) -> None:
        """Ask the chat model, once everything that was said is written down."""
        if self._transcribing or reply.asked_to_think:
            return
        options, settings = reply.options, self.settings
        reply.asked_to_think = True
        history = self.conversation.items() if options.input is None else self._items_of(options.input)
        tools = settings.tools if options.tools is None else options.tools
        choice = settings.tool_choice if options.tool_choice is None else options.tool_choice
        instructions = settings.instructions if options.instructions is None else options.instructions
        self._out.append(Think(reply.id, history, settings, tools, choice, instructions))

    def _items_of(self, given: tuple[Item, ...]) -> tuple[Item, ...]:
        found = []
        for item in given:
            entry = self.conversation.get(item.id) if item.type == "item_reference" else None
            found.append(entry.item if entry is not None else item)
        return tuple(found)

    def _answer_waiting(self) -> None:
        for reply in self._replies.values():
            if reply.options.verbatim is None:
                self._think(reply)

    def _reply_of(self, ref: str) -> Reply | None:
        return self._replies.get(ref.partition("/")[0])

    def _reply_produced(self, event: e.ReplyProduced) -> None:
        reply = self._reply_of(event.ref)
        if reply is not None:
            self._out += reply.written(event.delta, self._now)
            self._enter(reply)

    def _reply_tool_called(self, event: e.ReplyToolCalled) -> None:
        reply = self._reply_of(event.ref)
        if reply is not None:
            self._out += reply.called(event)
            self._enter(reply)

    def _reply_finished(self, event: e.ReplyFinished) -> None:
        reply = self._reply_of(event.ref)
        if reply is not None:
            reply.input_tokens, reply.output_tokens = event.input_tokens, event.output_tokens
            self._out += reply.complete(self._now)
            self._settle(reply)

    def _speech_produced(self, event: e.SpeechProduced) -> None:
        reply = self._reply_of(event.ref)
        if reply is not None:
            self._out += reply.sounded(event, self._now)

    def _speech_finished(self, event: e.SpeechFinished) -> None:
        reply = self._reply_of(event.ref)
        if reply is not None:
            self._out += reply.spoke(event.ref, self._now)
            self._settle(reply)

    def _enter(self, reply: Reply) -> None:
        """An answer's items take their place in the conversation as soon as they begin."""
        if not reply.options.out_of_band:
            for entry in reply.outputs[reply.entered :]:
                self.conversation.add(entry)
            reply.entered = len(reply.outputs)

    def _settle(self, reply: Reply) -> None:
        if reply.done:
            self._end(reply, "completed")

    def _cancel_requested(self, event: e.CancelRequested) -> None:
        reply = self._replies.get(event.response_id or self._current or "")
        if reply is None:
            if event.strict:
                text = "Cancellation failed: no active response found."
                self._fail("response_cancel_not_active", text, None, event.request_id)
            return
        self._end(reply, "cancelled", event.reason, heard=event.heard)

    def _engine_failed(self, event: e.EngineFailed) -> None:
        turn = self._transcribing.get(event.ref) or (self._turn if self._turn and self._turn.ref == event.ref else None)
        if turn is not None:
            if turn is not self._turn:
                self._transcript_failed(turn, event.message)
            elif turn.failures < RETRIES:  # the caller still speaks: another one gets what was said so far
                turn.failures += 1
                turn.ref += "'"
                self._out += [Listen(turn.ref), Hear(turn.ref, bytes(turn.audio))]
            else:
                turn.failures += 1
            return
        reply = self._reply_of(event.ref)
        if reply is not None:
            code = "model_failed" if event.stage == "think" else "speech_failed"
            self._end(reply, "failed", fault=Fault("server_error", code, event.message))

    def _end(
        self,
        reply: Reply,
        status: Any,
        reason: str | None = None,
        *,
        fault: Fault | None = None,
        heard: tuple[str, int] | None = None,
    ) -> None:
        """Finish a response, whatever the outcome: close its items, put them into the conversation, account for it."""
        del self._replies[reply.id]
        self._out += [Drop(ref) for ref in reply.refs]
        self._out += reply.finish_message(cut=status != "completed", heard=heard)
        if self._current == reply.id:
            self._current = None
        audio_ms = reply.message.audio_ms if reply.message else 0.0
        text = reply.output_tokens or len(reply.text.split()) * 4 // 3
        usage = Usage(input_text=reply.input_tokens, output_text=text, output_audio=int(audio_ms / OUTPUT_TOKEN_MS))
        conversation_id = self._conversation_id(reply.options)
        if fault is not None:
            self._emit(e.Failed(fault))
        self._emit(
            e.ResponseFinished(reply.id, status, reason, fault, reply.items, usage, reply.options, conversation_id)
        )


def _agreed(turn: Turn, text: str) -> str:
    """What two successive hypotheses agree on beyond what was sent: words that will hardly be revised."""
    agreed = []
    for old, new in zip(turn.text.split(), text.split(), strict=False):
        if old != new:
            break
        agreed.append(old)
    stable = " ".join(agreed)
    if len(stable) <= len(turn.stable) or not stable.startswith(turn.stable):
        return ""
    delta, turn.stable = stable[len(turn.stable) :], stable
    return delta
