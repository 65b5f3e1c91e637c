"""What must hold in every conversation, however the two and their engines interleave."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relay import commands as c
from relay import events as e
from relay.core.turns import State
from relay.nouns import Item, Settings, SpokenWord, Tool, TurnDetection
from tests.fakes.stage import MS_16K, Stage

STEPS = st.lists(
    st.tuples(
        st.sampled_from([
            "turn", "turn", "turn", "begin", "begin", "begin", "answer", "tools", "interrupt", "interrupt",
            "speak", "silence", "heard", "think", "call", "thought", "sound", "sounded", "wait", "tool", "output",
            "ask", "cancel", "truncate", "text", "commit", "clear",
        ]),
        st.integers(0, 3000),
    ),
    max_size=60,
)  # fmt: skip


class Drama:
    """A conversation in which anything may happen at any time."""

    def __init__(self, detection: TurnDetection | None) -> None:
        tools = (Tool("server_tool"),)
        self.play = Stage(Settings(turn_detection=detection), server_tools=tools, show_tools=False).open()
        self.calls = 0
        self.truncations: list[e.ItemTruncateRequested] = []

    def newest(self, kind: type[c.Command]) -> c.Command | None:
        return next((work for work in reversed(self.play.work) if isinstance(work, kind)), None)

    def step(self, name: str, amount: int) -> None:
        getattr(self, f"do_{name}")(amount)

    def do_turn(self, amount: int) -> None:
        """A whole turn of the caller."""
        for name in ("speak", "silence", "heard"):
            self.step(name, amount)

    def do_begin(self, amount: int) -> None:
        """An answer begins to be heard."""
        for name in ("turn", "think", "sound", "wait"):
            self.step(name, amount)

    def do_answer(self, amount: int) -> None:
        """An answer is given to its end."""
        for name in ("think", "thought", "sound", "sounded"):
            self.step(name, amount)

    def do_tools(self, amount: int) -> None:
        """The model calls two tools, and they return."""
        for name, n in (("call", amount), ("call", amount + 1), ("thought", 0), ("tool", self.calls), ("output", 1)):
            self.step(name, n)

    def do_interrupt(self, amount: int) -> None:
        """The caller cuts in, and what was under way still arrives."""
        for name in ("begin", "speak", "sound", "think"):
            self.step(name, amount)

    def do_speak(self, amount: int) -> None:
        if self.play.hearing is not None and not self.play.session.floor.turns.caller_speaks:
            self.play.hearing.speak()
        self.play.audio(20 + amount % 400)

    def do_silence(self, amount: int) -> None:
        if self.play.hearing is not None and self.play.session.floor.turns.caller_speaks:
            self.play.hearing.fall_silent()
        self.play.audio(20)

    def do_heard(self, amount: int) -> None:
        work = self.newest(c.FinishListening)
        if isinstance(work, c.FinishListening):
            self.play.engine(e.TranscriptHeard(work.ref, "words", True))

    def do_think(self, amount: int) -> None:
        work = self.newest(c.Think)
        if isinstance(work, c.Think):
            self.play.engine(e.ReplyProduced(work.ref, "A sentence of some words. "))

    def do_call(self, amount: int) -> None:
        work = self.newest(c.Think)
        if isinstance(work, c.Think):
            self.calls += 1
            name = "server_tool" if amount % 2 else "callers_tool"
            self.play.engine(e.ReplyToolCalled(work.ref, f"call_{self.calls}", name, f'{{"n":{amount}}}'))

    def do_thought(self, amount: int) -> None:
        work = self.newest(c.Think)
        if isinstance(work, c.Think):
            self.play.engine(e.ReplyFinished(work.ref, 1, 1))

    def do_sound(self, amount: int) -> None:
        work = self.newest(c.Speak)
        if isinstance(work, c.Speak):
            self.play.engine(e.SpeechProduced(work.ref, MS_16K * (1 + amount), (SpokenWord("word ", 0.0),)))

    def do_sounded(self, amount: int) -> None:
        work = self.newest(c.Speak)
        if isinstance(work, c.Speak):
            self.play.engine(e.SpeechFinished(work.ref))

    def do_wait(self, amount: int) -> None:
        self.play.advance(amount / 1000.0)

    def do_tool(self, amount: int) -> None:
        self.play.say(e.ToolAnswered(f"call_{amount % (self.calls + 1)}", "result"))

    def do_output(self, amount: int) -> None:
        call_id = f"call_{amount % (self.calls + 1)}"
        self.play.say(e.ItemCreateRequested(Item("", "function_call_output", call_id=call_id, output="x")))

    def do_ask(self, amount: int) -> None:
        self.play.say(e.ResponseRequested(takeover=bool(amount % 2)))

    def do_cancel(self, amount: int) -> None:
        self.play.say(e.CancelRequested(strict=False))

    def do_truncate(self, amount: int) -> None:
        produced = self.play.told(e.AudioProduced)
        if produced:
            self.play.say(e.ItemTruncateRequested(produced[-1].item_id, amount * 2, strict=False))

    def do_text(self, amount: int) -> None:
        self.play.say(e.ItemCreateRequested(Item("", "message", "user")))

    def do_commit(self, amount: int) -> None:
        self.play.say(e.CommitRequested())

    def do_clear(self, amount: int) -> None:
        self.play.say(e.ClearRequested())


def run(steps: list[tuple[str, int]], detection: TurnDetection | None = TurnDetection()) -> Stage:  # noqa: B008
    drama = Drama(detection)
    for name, amount in steps:
        drama.step(name, amount)
    return drama.play


lively = settings(
    max_examples=int(os.environ.get("RELAY_EXAMPLES", "100")),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)


@lively
@given(STEPS)
def test_truncation_lies_between_nothing_and_what_the_caller_received(steps: list[tuple[str, int]]) -> None:
    play = run(steps)
    received: dict[str, float] = {}
    for command in play.commands:
        if isinstance(command, c.ToCaller) and isinstance(command.event, e.AudioProduced):
            event = command.event
            received[event.item_id] = received.get(event.item_id, 0.0) + len(event.audio) / 32
        if isinstance(command, c.ToModel) and isinstance(command.event, e.ItemTruncateRequested):
            cut = command.event
            assert 0 <= cut.audio_end_ms <= received.get(cut.item_id, 0.0) + 1


@lively
@given(STEPS)
def test_no_frame_of_an_answer_comes_after_the_next_one_began_or_it_ended(steps: list[tuple[str, int]]) -> None:
    over: set[str] = set()
    current = ""
    for event in run(steps).caller:
        if isinstance(event, e.ResponseStarted):
            over.add(current)
            current = event.response_id
        elif isinstance(event, e.AudioProduced | e.TranscriptProduced | e.TextProduced):
            assert event.response_id not in over
        elif isinstance(event, e.ResponseFinished):
            over.add(event.response_id)


@lively
@given(STEPS)
def test_nothing_of_an_answer_is_sent_after_the_caller_interrupted_it(steps: list[tuple[str, int]]) -> None:
    cut: set[str] = set()
    begun: list[str] = []
    for event in run(steps).caller:
        if isinstance(event, e.ResponseStarted):
            begun.append(event.response_id)
        elif isinstance(event, e.SpeechStarted):
            cut.update(begun)
        elif isinstance(event, e.AudioProduced | e.TranscriptProduced):
            assert event.response_id not in cut


@lively
@given(STEPS)
def test_answers_begin_one_at_a_time_and_each_ends_exactly_once(steps: list[tuple[str, int]]) -> None:
    play = run(steps)
    active: str | None = None
    ended: list[str] = []
    for event in play.caller:
        if isinstance(event, e.ResponseStarted):
            assert active is None
            active = event.response_id
        elif isinstance(event, e.ResponseFinished):
            assert event.response_id == active
            ended.append(event.response_id)
            active = None
    assert len(ended) == len(set(ended))


@lively
@given(STEPS)
def test_every_call_is_answered_once_the_deadlines_have_passed(steps: list[tuple[str, int]]) -> None:
    play = run(steps).advance(120.0)
    books = play.session.answers.tools
    assert books.issued == books.answered
    outputs = [x.item.call_id for x in play.asked(e.ItemCreateRequested) if x.item.type == "function_call_output"]
    issued = [call_id for call_id in outputs if books.find(call_id or "") is not None]
    assert len(issued) == len(set(issued)), "no call is answered twice"


@lively
@given(STEPS)
def test_every_item_that_began_is_finished(steps: list[tuple[str, int]]) -> None:
    play = run(steps).advance(120.0)
    begun = [x.item.id for x in play.told(e.OutputItemStarted)]
    finished = [x.item.id for x in play.told(e.OutputItemFinished)]
    assert sorted(begun) == sorted(finished)


@lively
@given(STEPS)
def test_without_leave_to_interrupt_no_cancel_is_ever_sent(steps: list[tuple[str, int]]) -> None:
    polite = [step for step in steps if step[0] not in ("ask", "cancel")]
    play = run(polite, TurnDetection(interrupt_response=False))
    assert play.asked(e.CancelRequested) == []
    assert not any(isinstance(work, c.FlushCaller) for work in play.work)


@lively
@given(STEPS)
def test_push_to_talk_knows_no_speech_events(steps: list[tuple[str, int]]) -> None:
    play = run(steps, None)
    assert play.told(e.SpeechStarted) == []
    assert not play.session.floor.turns.caller_speaks


@lively
@given(STEPS)
def test_conversation_comes_to_rest(steps: list[tuple[str, int]]) -> None:
    """Whatever happened: once the caller is silent and the deadlines have passed, nobody waits for anything."""
    drama = Drama(TurnDetection())
    for name, amount in steps:
        drama.step(name, amount)
    drama.do_silence(0)
    play = drama.play.advance(200.0)
    assert not play.session.answers.busy
    assert play.session.floor.turns.state is State.LISTENING
