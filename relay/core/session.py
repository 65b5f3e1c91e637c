"""One conversation: a caller leg, a model leg and the state between them. Pure: no I/O, no clock.

`Session` takes every event to the part that it concerns: `Floor` (the caller's audio and whose turn it is), `Answers`
(responses and tool calls), `Delivery` (what reaches the caller). It opens and ends the session and keeps its settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from relay import events as e
from relay import limits
from relay.audio.convert import Converter
from relay.commands import Close, Command, ToCaller, ToModel
from relay.core.answers import Answers
from relay.core.context import OWN_REQUEST, Context
from relay.core.ears import samples_of
from relay.core.floor import Floor
from relay.core.plan import Plan
from relay.core.turns import State, Trigger
from relay.core.wishes import Wishes
from relay.errors import CloseReason
from relay.nouns import Fault, Item, ResponseOptions, Settings

__all__ = ["Plan", "Session"]

WAITS_TO_OPEN = (
    e.SettingsRequested,
    e.AudioAppended, e.CommitRequested, e.ClearRequested, e.ItemCreateRequested, e.ItemTruncateRequested,
    e.ItemDeleteRequested, e.ItemRetrieveRequested, e.ResponseRequested, e.CancelRequested, e.Unmapped,
)  # fmt: skip
"""What the caller may say before the model can be asked: kept, in order, and done when the session opens."""


BENIGN = frozenset({
    "response_cancel_not_active", "item_truncate_invalid_item_id", "unsupported_content_type",
    "input_audio_buffer_commit_empty",
})  # fmt: skip
"""Errors that mean only that we were late (OpenAI Realtime 16.2 item 10): the caller hears nothing of them."""


class Session:
    """The conversation. `net/pump.py` is the only caller.

    `start` once, then `handle` for every event and `wake` at every `deadline`. Each returns what is to be done, in
    order, and never raises on what a peer sent. `now` is seconds on a clock that never goes back.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.context = Context(plan)
        self.floor = Floor(self.context)
        self.answers = Answers(self.context, self.floor.turns, self.floor.take)
        self.floor.answers = self.answers
        self._wishes = Wishes(self.context)
        self._held: list[e.Event] = []
        self._held_ms = 0.0
        self._held_bytes = 0
        self._model_session: e.SessionOpened | None = None
        self._model_ready = False
        self._has_settings = not plan.waits_for_settings
        self._first_update: str | None = None
        """Our own first request for settings, until it is answered: the caller did not ask for it."""
        self._spoke = False
        self._on = self._table()

    def _table(self) -> dict[type[e.Event], Callable[[Any], None]]:
        """Who takes which event: the whole vocabulary at a glance."""
        return {
            # requests
            e.SettingsRequested: self._settings_requested,
            e.AudioAppended: self._audio_appended,
            e.CommitRequested: self.floor.committed_by_hand,
            e.ClearRequested: self.floor.cleared,
            e.ItemCreateRequested: self._item_create_requested,
            e.ItemTruncateRequested: self._truncate_requested,
            e.ItemDeleteRequested: self._to_model,
            e.ItemRetrieveRequested: self._to_model,
            e.ResponseRequested: self._response_requested,
            e.CancelRequested: self._cancel_requested,
            e.Rejected: self._rejected,
            e.Acknowledged: self._to_caller,
            e.Unmapped: self._unmapped,
            # happenings
            e.SessionOpened: self._model_opened,
            e.SettingsApplied: self._settings_applied,
            e.SpeechStarted: self._model_heard,
            e.SpeechStopped: self._model_heard,
            e.IdleTimedOut: self._to_caller,
            e.AudioCommitted: self._audio_committed,
            e.AudioCleared: self._to_caller,
            e.ItemAdded: self._item_placed,
            e.ItemFinished: self._item_placed,
            e.ItemRetrieved: self._item_retrieved,
            e.ItemTruncated: self._to_caller,
            e.ItemDeleted: self._to_caller,
            e.InputTranscribed: self._to_caller,
            e.TranscriptionFailed: self._to_caller,
            e.ResponseStarted: self.answers.started,
            e.OutputItemStarted: self._output_item,
            e.AudioProduced: self._audio_produced,
            e.TranscriptProduced: self._words_produced,
            e.TextProduced: self._words_produced,
            e.ToolArgumentsProduced: self.answers.arguments,
            e.ToolCalled: self.answers.called,
            e.OutputItemFinished: self._output_item_finished,
            e.ResponseFinished: self.answers.finished,
            e.Warned: self._to_caller,
            e.Failed: self._failed,
            # reports
            e.LegOpened: self._leg_opened,
            e.LegClosed: self._leg_closed,
            e.SpeechJudged: self._judged,
            e.ToolAnswered: self.answers.returned,
        }

    # --- what the rim calls

    def start(self, now: float) -> list[Command]:
        """Begin. The model's leg is being dialled from now on; what is meant for it is held until `LegOpened`."""
        context = self.context
        context.now = context.active_at = now
        context.timers.set("max", now + self.plan.max_session_s)
        context.timers.set("idle", now + self.plan.idle_limit_s)
        if not self._has_settings:
            context.timers.set("setup", now + limits.SETUP_DEADLINE_S)
        return self._taken()

    def handle(self, event: e.Event, now: float) -> list[Command]:
        """Something happened, on either leg or in the world."""
        context = self.context
        context.now = now
        if context.closed:
            return []
        if (
            not context.opened
            and isinstance(event, WAITS_TO_OPEN)
            and (self._has_settings or not isinstance(event, e.SettingsRequested))
        ):
            self._hold(event)
        else:
            act = self._on.get(type(event))
            if act is not None:
                act(event)
        out = context.out
        if out:
            context.out = []
        return out

    def deadline(self) -> float | None:
        """When `wake` must be called at the latest; None: never. May change after every call."""
        return None if self.context.closed else self.context.timers.next

    def wake(self, now: float) -> list[Command]:
        """The deadline has come (or passed, or not quite: then nothing happens)."""
        context = self.context
        context.now = now
        if context.closed:
            return []
        for name in context.timers.due(now):
            if not context.closed:
                self._due(name)
        return self._taken()

    def _taken(self) -> list[Command]:
        out, self.context.out = self.context.out, []
        return out

    def _due(self, name: str) -> None:
        context = self.context
        if name == "stall":
            self.answers.stalled()
        elif name == "tools":
            self.answers.overdue()
        elif name == "playout":
            self.answers.rest()
        elif name == "turn":
            self.floor.let_go()
        elif name == "nudge":
            self.floor.take(Trigger.IDLED)
        elif name == "setup":
            self._close(CloseReason.SETUP_TIMEOUT)
        elif name == "max":
            self._close(CloseReason.MAX_DURATION)
        elif name == "idle":
            busy = self.answers.busy or self.floor.turns.state is not State.LISTENING or self.answers.tools.waiting()
            due = context.active_at + self.plan.idle_limit_s
            if busy or due > context.now:
                context.timers.set("idle", max(due, context.now + limits.IDLE_RECHECK_S))
            else:
                self._close(CloseReason.IDLE)

    # --- opening and closing

    def _hold(self, event: e.Event) -> None:
        if isinstance(event, e.AudioAppended):
            size = len(event.audio) * 3 // 4 if isinstance(event.audio, str) else len(event.audio)
            self._held_ms += self.context.settings.input_format.duration_ms(size)
            if self._held_ms > limits.DIAL_HOLD_AUDIO_MS:
                return
        self._held_bytes += _size_of(event)
        if len(self._held) < limits.DIAL_HOLD_EVENTS and self._held_bytes <= limits.DIAL_HOLD_BYTES:
            self._held.append(event)

    def _leg_opened(self, event: e.LegOpened) -> None:
        if event.leg == "model" and self.plan.composed:
            self._model_ready = True
            self._open()

    def _model_opened(self, event: e.SessionOpened) -> None:
        self._model_session = event
        self._model_ready = True
        self._open()

    def _open(self) -> None:
        """Both sides are there: tell the caller first, then configure the model, then do what waited."""
        context = self.context
        if context.opened or not (self._model_ready and self._has_settings):
            return
        context.opened = True
        if self.plan.transparent and self._model_session is not None:
            context.tell(self._model_session)
        else:
            context.tell(e.SessionOpened(self.plan.session_id, self._wishes.visible(), self.plan.expires_at))
            request_id = context.own_id()
            self._first_update = None if self.plan.waits_for_settings else request_id
            every = {field.name: getattr(context.settings, field.name) for field in fields(Settings)}
            context.ask(e.SettingsRequested(self._wishes.for_model(every), request_id))
        for early in context.early:
            context.tell(early)
        context.early.clear()
        held, self._held = self._held, []
        if self.plan.greeting:
            say = f"Say exactly this to the caller, and nothing else: {self.plan.greeting}"
            self.answers.want(e.ResponseRequested(ResponseOptions(instructions=say, verbatim=self.plan.greeting)))
        for event in held:
            self._on[type(event)](event)

    def _leg_closed(self, event: e.LegClosed) -> None:
        if event.leg == "caller":
            self._close(CloseReason.CALLER_LEFT)
            return
        reason = CloseReason.MODEL_LOST if self.context.opened else CloseReason.MODEL_UNAVAILABLE
        if self.context.opened and event.code in (1000, 1001):
            reason = CloseReason.MODEL_ENDED
        if self.answers.active is not None:
            fault = Fault("server_error", reason.code, reason.text)
            self.context.tell(e.ResponseFinished(self.answers.active, "failed", fault=fault))
        self._close(reason, event.detail)

    def _close(self, reason: CloseReason, detail: str = "") -> None:
        for early in self.context.early:  # a session that never opened: at least what went wrong is said
            if isinstance(early, e.Failed):
                self.context.do(ToCaller(early))
        self.context.closed = True
        self.context.do(Close(reason, detail))

    # --- settings

    def _settings_requested(self, event: e.SettingsRequested) -> None:
        context = self.context
        changes = self._wishes.allowed(event, voice_is_set=self._spoke)
        if changes is None:
            return
        context.settings = replace(context.settings, **changes)
        self.floor.reconfigure(context.settings.input_format)
        if "output_format" in changes:
            context.delivery.reconfigure(context.settings.output_format)
        if not self._has_settings:
            self._has_settings = True
            context.timers.clear("setup")
            self._open()
        elif context.opened:
            told = e.SettingsRequested(self._wishes.for_model(changes), event.request_id)
            context.ask(event if self.plan.transparent else told)

    def _settings_applied(self, event: e.SettingsApplied) -> None:
        if self._first_update is not None:
            self._first_update = None
        else:
            self.context.tell(event if self.plan.transparent else e.SettingsApplied(self._wishes.visible()))

    # --- the caller

    def _audio_appended(self, event: e.AudioAppended) -> None:
        """HOT: untouched frames go on as they came."""
        floor = self.floor
        if floor.ears.untouched:
            self.context.out.append(ToModel(event))
            return
        audio = samples_of(event.audio)
        if audio is None:
            self.context.fail("invalid_value", "audio is not base64.", "audio", event.request_id)
        elif audio:
            floor.hear(event, audio)

    def _item_create_requested(self, event: e.ItemCreateRequested) -> None:
        item = event.item
        if item.type == "function_call_output":
            self.answers.output_by_caller(event)
            return
        self.context.active()
        if item.role == "user":
            self.answers.tools.caller_spoke()
        model = self.plan.model_input
        if model is not None and any(part.audio is not None for part in item.content):
            item = _converted(item, Converter(self.context.settings.input_format, model))
            event = replace(event, item=item, raw=None)
        self.context.ask(event)

    def _truncate_requested(self, event: e.ItemTruncateRequested) -> None:
        """The caller says what was heard: nobody knows better, but not more than it was sent."""
        playout = self.context.delivery.playout
        sent_ms = playout.sent_ms(event.item_id)
        if sent_ms and not event.strict:
            event = replace(event, audio_end_ms=min(event.audio_end_ms, int(sent_ms)), raw=None)
        if not sent_ms and not event.strict and not self.plan.composed:
            return  # an item of an earlier connection: nobody here knows it
        playout.report(event.item_id, event.audio_end_ms, self.context.now)
        self.answers.rest()
        if event.item_id in self.floor.truncated and not self.plan.composed:
            # The model was told once already, and cannot be told again: the text behind the cut is gone.
            self.context.tell(e.ItemTruncated(event.item_id, event.audio_end_ms, event.content_index))
            return
        if not event.strict and event.request_id is None:
            event = replace(event, request_id=self.context.own_id())
        self.context.ask(event)

    def _response_requested(self, event: e.ResponseRequested) -> None:
        self.context.active()
        self.answers.unprompted = False
        self.answers.requested(self._wishes.permitted(event))

    def _cancel_requested(self, event: e.CancelRequested) -> None:
        if event.response_id in (None, self.answers.active):
            self.answers.cancel("client_cancelled", request=event)
        else:
            self.context.ask(event)

    def _rejected(self, event: e.Rejected) -> None:
        if event.fault.code == "beta_api_shape_disabled":
            self._close(CloseReason.BETA_SHAPE)
        else:
            self.context.tell(e.Failed(event.fault))

    def _unmapped(self, event: e.Unmapped) -> None:
        if event.source == "model":
            self.context.tell(event)
        elif self.plan.transparent:
            self.context.ask(event)
        else:
            self.context.warn("unsupported_event", f"{event.type[:64]} has no effect with this model.")

    def _to_model(self, event: e.Event) -> None:
        self.context.ask(event)

    # --- the model

    def _audio_produced(self, event: e.AudioProduced) -> None:
        """HOT."""
        context = self.context
        sent = context.delivery.audio(event, context.now)
        if sent is None:
            return
        self.answers.progress_at = context.now
        self._spoke = True
        if self.floor.turns.state is not State.REPLYING:
            self.floor.take(Trigger.SOUNDED)
        context.out.append(ToCaller(sent))

    def _words_produced(self, event: e.TranscriptProduced | e.TextProduced) -> None:
        context = self.context
        if event.response_id in context.delivery.muted:
            return
        self.answers.progress_at = context.now
        if isinstance(event, e.TextProduced) and self.floor.turns.state is not State.REPLYING:
            self.floor.take(Trigger.SOUNDED)
        context.tell(event)

    def _output_item(self, event: e.OutputItemStarted) -> None:
        shown = self.answers.item(event)
        if shown is not None:
            self.context.tell(shown)

    def _output_item_finished(self, event: e.OutputItemFinished) -> None:
        tail = self.context.delivery.tail(event.item.id, self.context.now)
        if tail is not None:
            self.context.tell(tail)
        shown = self.answers.item(event)
        if shown is not None:
            self.context.tell(shown)

    def _model_heard(self, event: e.SpeechStarted | e.SpeechStopped) -> None:
        if not self.plan.relay_turns:
            self.floor.model_heard(event)

    def _audio_committed(self, event: e.AudioCommitted) -> None:
        self.context.tell(self.context.aliases.committed(event, self.floor.committed()))

    def _item_placed(self, event: e.ItemAdded | e.ItemFinished) -> None:
        if self.plan.transparent or not self.context.delivery.hides(event.item):
            self._to_caller(event)

    def _item_retrieved(self, event: e.ItemRetrieved) -> None:
        if not self.plan.transparent and self.context.delivery.hides(event.item):
            self.context.fail("item_retrieve_invalid_item_id", "There is no such item.", "item_id")
            return
        model = self.plan.model_input
        if model is not None and any(part.audio is not None for part in event.item.content):
            event = replace(event, item=_converted(event.item, Converter(model, self.context.settings.input_format)))
        self._to_caller(event)

    def _failed(self, event: e.Failed) -> None:
        """An error of the model; about a request of the relay's own the caller is told only what concerns it."""
        fault = event.fault
        request_id = fault.request_id
        if request_id is not None and request_id.startswith(OWN_REQUEST):
            if request_id == self._first_update:
                self._first_update = None
            self.floor.not_committed(request_id)
            if fault.code not in BENIGN:
                self.context.tell(e.Failed(replace(fault, request_id=None)))
        else:
            self.context.tell(event)
        self.answers.refused(request_id)

    def _to_caller(self, event: e.Event) -> None:
        self.context.tell(self.context.aliases.to_caller(event))

    # --- the world

    def _judged(self, event: e.SpeechJudged) -> None:
        self.floor.find(self.floor.ears.judge(event.first_window, list(event.probabilities)))


def _size_of(event: e.Event) -> int:
    """Roughly what an event that is held takes, in bytes."""
    raw = getattr(event, "raw", None)
    if raw is not None:
        return len(raw)
    if isinstance(event, e.AudioAppended):
        return len(event.audio)
    if isinstance(event, e.ItemCreateRequested):
        parts = event.item.content
        return sum(len(part.audio or b"") + len(part.text or "") + len(str(part.extra)) for part in parts)
    return 0


def _converted(item: Item, convert: Converter) -> Item:
    """The item with its user audio in another format."""
    content = tuple(
        part if part.audio is None else replace(part, audio=convert.convert(part.audio) + convert.flush())
        for part in item.content
    )
    return replace(item, content=content)
