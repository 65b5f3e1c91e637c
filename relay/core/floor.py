"""Who has the floor: the caller's audio, the turn table, and what its actions do.

A spoken interruption happens here, in one step and in this order: (1) nothing more of the answer is sent and what waits
in the caller's outbox is withdrawn (`HUSH`); (2) the caller is told that speech started, which makes its player flush
(`OPEN_TURN`); (3) the model's answer is cancelled and (4) the item is truncated at what was heard (`CUT`); (5) late
deltas are dropped by response id (`Delivery.muted`); (6) the transcript keeps the heard part (the model cuts it at
the truncation).
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from relay import limits
from relay.commands import FlushCaller, Judge
from relay.core.context import Context
from relay.core.delivery import RecentIds
from relay.core.ears import Ears, Finding
from relay.core.hearing import JudgeNeeded, Offset, Onset
from relay.core.turns import Action, Trigger, TurnTaking
from relay.events import (
    AudioAppended,
    ClearRequested,
    CommitRequested,
    Event,
    IdleTimedOut,
    ItemTruncateRequested,
    ResponseRequested,
    SpeechStarted,
    SpeechStopped,
    TurnOpened,
)
from relay.nouns import AudioFormat

if TYPE_CHECKING:
    from relay.core.answers import Answers

COMMITS = 64
"""Commits that a model may owe us an answer to."""

SILENT_BYTE = {"pcm16": b"\0", "mulaw": b"\xff", "alaw": b"\xd5"}
"""The sample value zero (ITU-T G.711 for the last two)."""


class Floor:
    """Turn taking of one session. `answers` is set right after construction: the two need each other."""

    answers: Answers

    def __init__(self, context: Context) -> None:
        self._context = context
        plan, settings = context.plan, context.settings
        detection = settings.turn_detection if plan.relay_turns else None
        self.turns = TurnTaking()
        self.ears = Ears(settings.input_format, plan.model_input, detection, plan.judged)
        self.item_id = ""
        """The item that the open turn will be."""
        self.truncated = RecentIds()
        """Items that were truncated at what the relay knows was heard."""
        self._commits: deque[tuple[str, str]] = deque(maxlen=COMMITS)
        """Requests to commit that the model has not answered: their ids, and the items that were announced."""
        self._onset = Onset(0, 0)
        self._offset = Offset(0)
        self._turn_from_ms = 0.0
        self._announcement: Event | None = None
        """The model's own announcement of speech, when it detects turns."""
        self._do = {
            Action.OPEN_TURN: self._open_turn,
            Action.HUSH: self._hush,
            Action.CUT: self._cut,
            Action.CLOSE_TURN: self._close_turn,
            Action.ANSWER: self._answer,
            Action.ARM_IDLE: self._arm_idle,
            Action.DISARM_IDLE: self._disarm_idle,
            Action.NUDGE: self._nudge,
        }

    def take(self, trigger: Trigger) -> None:
        """Something happened between the two: move on and do what the table says."""
        for action in self.turns.take(trigger):
            self._do[action]()

    # --- what comes in

    def hear(self, event: AudioAppended, audio: bytes) -> None:
        """Audio of the caller, in its format."""
        self.find(self.ears.append(audio))

    def find(self, findings: list[Finding]) -> None:
        """Carry out what the ears found, then send on what belongs to the open turn."""
        context, ears = self._context, self.ears
        for finding in findings:
            if type(finding) is JudgeNeeded:
                context.do(Judge(finding.first_window, finding.windows, finding.fresh))
            elif type(finding) is Onset:
                self._onset = finding
                self.take(self._speech_trigger())
            elif type(finding) is Offset:
                self._offset = finding
                self.take(Trigger.SILENCE)
        if ears.detection is None or self.turns.caller_speaks:
            self._send(ears.turn_audio())
            if ears.detection is not None and ears.position_ms - self._turn_from_ms > limits.MAX_TURN_S * 1000.0:
                self._offset = ears.end_here()
                self.take(Trigger.SILENCE)
                ears.forget()
        else:
            ears.trim()

    def _send(self, audio: bytes) -> None:
        if audio:
            self._context.ask(AudioAppended(audio))

    def _speech_trigger(self) -> Trigger:
        detection = self._context.settings.turn_detection
        return Trigger.SPEECH if detection is None or detection.interrupt_response else Trigger.SPEECH_OVER

    def model_heard(self, event: SpeechStarted | SpeechStopped) -> None:
        """The model detects turns itself and says that one began or ended."""
        self._announcement = event
        self.take(self._speech_trigger() if isinstance(event, SpeechStarted) else Trigger.SILENCE)
        if self._announcement is not None:
            self._context.tell(event)
            self._announcement = None

    def committed_by_hand(self, event: CommitRequested) -> None:
        """The caller says that its turn is over; it will ask for an answer itself."""
        context = self._context
        context.active()
        self.answers.tools.caller_spoke()
        if self.ears.detection is not None:
            speaking = self.turns.caller_speaks
            self._send(self.ears.everything())
            self.take(Trigger.CLEARED)
            if speaking:
                self._commit(self.item_id, event.request_id)
                return
        context.ask(event)

    def cleared(self, event: ClearRequested) -> None:
        """The caller takes back what it said since the last commit."""
        self.ears.drop()
        self._context.ask(event)
        self.let_go()

    def let_go(self) -> None:
        """The caller's turn is over without being one; what waited for its end goes on."""
        if self.turns.caller_speaks:
            self._context.timers.clear("turn")
            self.take(Trigger.CLEARED)
            self.answers.go_on()

    def _commit(self, item_id: str, request_id: str | None = None) -> None:
        request_id = request_id or self._context.own_id()
        self._commits.append((request_id, item_id))
        self._context.ask(CommitRequested(item_id, request_id))

    def committed(self) -> str:
        """The model committed a turn: the id that was announced for it, "" if none was."""
        if not self._context.plan.relay_turns:
            self.let_go()  # a model that detects turns may commit without having said that speech stopped
        return self._commits.popleft()[1] if self._commits else ""

    def not_committed(self, request_id: str) -> None:
        """The model refused a request; if it was to commit, nothing will come of it."""
        for commit in [each for each in self._commits if each[0] == request_id]:
            self._commits.remove(commit)

    def reconfigure(self, caller: AudioFormat) -> None:
        """The settings changed."""
        detection = self._context.settings.turn_detection
        over = detection is None or caller != self.ears.caller
        self.ears.reconfigure(caller, detection if self._context.plan.relay_turns else None)
        if over:
            self.let_go()

    # --- the actions

    def _open_turn(self) -> None:
        context = self._context
        context.active()
        self.answers.tools.caller_spoke()
        if self._announcement is not None:
            context.timers.set("turn", context.now + limits.MAX_TURN_S)
            context.tell(self._announcement)
            self._announcement = None
            return
        self.item_id = context.new_item_id()
        start_ms = self.ears.open_turn(self._onset)
        self._turn_from_ms = self.ears.position_ms
        context.tell(SpeechStarted(self.item_id, start_ms))
        context.ask(TurnOpened(self.item_id))

    def _close_turn(self) -> None:
        context = self._context
        context.active()
        context.timers.clear("turn")
        if self._announcement is not None:
            return
        audio, end_ms = self.ears.close_turn(self._offset)
        self._send(audio)
        context.tell(SpeechStopped(self.item_id, end_ms))
        self._commit(self.item_id)

    def _hush(self) -> None:
        context = self._context
        delivery = context.delivery
        responses = {self.answers.active} if self.answers.active else set()
        if delivery.last_item is not None:
            responses.add(delivery.last_item[0])
        for response_id in sorted(responses):
            delivery.mute(response_id)
            context.do(FlushCaller(response_id))

    def _cut(self) -> None:
        """Cancel at the model and truncate there; a model that detects turns itself cancels by itself."""
        context, playout = self._context, self._context.delivery.playout
        heard = [(item_id, int(ms)) for item_id, ms in playout.playing(context.now)]
        last = context.delivery.last_item
        if not heard and last is not None and last[0] == self.answers.active:
            heard = [(last[1], int(playout.heard_ms(last[1], context.now)))]
        playout.flush(context.now)
        context.timers.clear("playout")
        if not context.plan.relay_turns:
            return
        if self.answers.busy:
            self.answers.cancel("turn_detected", heard[-1] if heard else None)
        for item_id, heard_ms in heard:
            self.truncated.add(item_id)
            context.ask(ItemTruncateRequested(item_id, heard_ms, strict=False, request_id=context.own_id()))

    def _answer(self) -> None:
        detection = self._context.settings.turn_detection
        if detection is None or not detection.create_response:
            self.answers.go_on()
        elif self._context.plan.relay_turns:
            self.answers.want(ResponseRequested())

    def _arm_idle(self) -> None:
        detection = self._context.settings.turn_detection
        if self._context.plan.relay_turns and detection is not None and detection.idle_timeout_ms is not None:
            self._context.timers.set("nudge", self._context.now + detection.idle_timeout_ms / 1000.0)

    def _disarm_idle(self) -> None:
        self._context.timers.clear("nudge")

    def _nudge(self) -> None:
        """OpenAI Realtime section 6.4: report the timeout, commit the silence as an item, answer it."""
        context = self._context
        if self.answers.tools.waiting():
            return
        detection = context.settings.turn_detection
        silent_ms = detection.idle_timeout_ms if detection and detection.idle_timeout_ms else 0
        form = context.plan.model_input or context.settings.input_format
        audio = self.ears.everything()
        missing = form.bytes_per_second * limits.MIN_COMMIT_MS // 1000 - len(audio)
        audio += SILENT_BYTE[form.encoding] * max(0, missing)
        end_ms = int(self.ears.position_ms)
        item_id = context.new_item_id()
        context.tell(IdleTimedOut(item_id, max(0, end_ms - silent_ms), end_ms))
        context.ask(TurnOpened(item_id))
        context.ask(AudioAppended(audio))
        self._commit(item_id)
        self.answers.unprompted = True
        self.answers.want(ResponseRequested())
