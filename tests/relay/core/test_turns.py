"""Every row of the turn table: the state is reached as a conversation reaches it, then the trigger comes."""

from __future__ import annotations

from dataclasses import replace

import pytest

from relay import commands as c
from relay import events as e
from relay.core.turns import TRANSITIONS, Action, State, Trigger, TurnTaking
from relay.nouns import Settings, SpokenWord, TurnDetection
from tests.fakes.stage import MS_16K, Stage

VAD = TurnDetection(idle_timeout_ms=5000)

INTERRUPTED = ["FlushCaller", "SpeechStarted", "TurnOpened", "CancelRequested", "ItemTruncateRequested"]
CUT_SHORT = ["FlushCaller", "SpeechStarted", "TurnOpened", "CancelRequested"]
OPENED = ["SpeechStarted", "TurnOpened"]
CLOSED = ["SpeechStopped", "CommitRequested"]

PLAYBOOK: dict[tuple[State, Trigger], tuple[State, list[str]]] = {
    (State.LISTENING, Trigger.SPEECH): (State.HEARING, OPENED),
    (State.LISTENING, Trigger.SPEECH_OVER): (State.HEARING, OPENED),
    (State.LISTENING, Trigger.SILENCE): (State.LISTENING, []),
    (State.LISTENING, Trigger.CLEARED): (State.LISTENING, []),
    (State.LISTENING, Trigger.ASKED): (State.THINKING, []),
    (State.LISTENING, Trigger.SOUNDED): (State.REPLYING, []),
    (State.LISTENING, Trigger.ANSWERED): (State.LISTENING, []),
    (State.LISTENING, Trigger.IDLED): (
        State.THINKING,
        ["IdleTimedOut", "TurnOpened", "AudioAppended", "CommitRequested", "ResponseRequested"],
    ),
    (State.HEARING, Trigger.SPEECH): (State.HEARING, []),
    (State.HEARING, Trigger.SPEECH_OVER): (State.HEARING, []),
    (State.HEARING, Trigger.SILENCE): (State.THINKING, [*CLOSED, "ResponseRequested"]),
    (State.HEARING, Trigger.CLEARED): (State.LISTENING, []),
    (State.HEARING, Trigger.ASKED): (State.TALKED_OVER, []),
    (State.HEARING, Trigger.SOUNDED): (State.TALKED_OVER, []),
    (State.HEARING, Trigger.ANSWERED): (State.HEARING, []),
    (State.HEARING, Trigger.IDLED): (State.HEARING, []),
    (State.THINKING, Trigger.SPEECH): (State.HEARING, CUT_SHORT),
    (State.THINKING, Trigger.SPEECH_OVER): (State.TALKED_OVER, OPENED),
    (State.THINKING, Trigger.SILENCE): (State.THINKING, []),
    (State.THINKING, Trigger.CLEARED): (State.THINKING, []),
    (State.THINKING, Trigger.ASKED): (State.THINKING, []),
    (State.THINKING, Trigger.SOUNDED): (State.REPLYING, []),
    (State.THINKING, Trigger.ANSWERED): (State.LISTENING, []),
    (State.THINKING, Trigger.IDLED): (State.THINKING, []),
    (State.REPLYING, Trigger.SPEECH): (State.HEARING, INTERRUPTED),
    (State.REPLYING, Trigger.SPEECH_OVER): (State.TALKED_OVER, OPENED),
    (State.REPLYING, Trigger.SILENCE): (State.REPLYING, []),
    (State.REPLYING, Trigger.CLEARED): (State.REPLYING, []),
    (State.REPLYING, Trigger.ASKED): (State.REPLYING, []),
    (State.REPLYING, Trigger.SOUNDED): (State.REPLYING, []),
    (State.REPLYING, Trigger.ANSWERED): (State.LISTENING, []),
    (State.REPLYING, Trigger.IDLED): (State.REPLYING, []),
    (State.TALKED_OVER, Trigger.SPEECH): (
        State.HEARING,
        ["FlushCaller", "CancelRequested", "ItemTruncateRequested"],
    ),
    (State.TALKED_OVER, Trigger.SPEECH_OVER): (State.TALKED_OVER, []),
    (State.TALKED_OVER, Trigger.SILENCE): (State.REPLYING, CLOSED),
    (State.TALKED_OVER, Trigger.CLEARED): (State.REPLYING, []),
    (State.TALKED_OVER, Trigger.ASKED): (State.TALKED_OVER, []),
    (State.TALKED_OVER, Trigger.SOUNDED): (State.TALKED_OVER, []),
    (State.TALKED_OVER, Trigger.ANSWERED): (State.HEARING, []),
    (State.TALKED_OVER, Trigger.IDLED): (State.TALKED_OVER, []),
}


def reach(state: State) -> Stage:
    """A conversation that is in this state."""
    detection = replace(VAD, interrupt_response=False) if state is State.TALKED_OVER else VAD
    play = Stage(Settings(turn_detection=detection)).open()
    if state is State.HEARING:
        play.speak(300)
    elif state in (State.THINKING, State.REPLYING, State.TALKED_OVER):
        play.turn("tell me a story")
    if state in (State.REPLYING, State.TALKED_OVER):
        play.engine(e.ReplyProduced(play.last_work(c.Think).ref, "Once upon a time. And "))
        spoken = (SpokenWord("Once upon a time. ", 0.0),)
        play.engine(e.SpeechProduced(play.last_work(c.Speak).ref, MS_16K * 2000, spoken)).advance(0.5)
    if state is State.TALKED_OVER:
        play.speak(300)
    assert play.session.floor.turns.state is state
    return play


def name(command: c.Command) -> str:
    return type(command.event if isinstance(command, c.ToCaller | c.ToModel) else command).__name__


@pytest.mark.parametrize(("state", "trigger"), TRANSITIONS, ids=lambda value: value.name)
def test_row_leads_to_its_state_and_its_commands_in_order(state: State, trigger: Trigger) -> None:
    play = reach(state)
    play.session.floor.take(trigger)
    done = [name(command) for command in play.session.context.out]
    assert (play.session.floor.turns.state, done) == PLAYBOOK[state, trigger]


def test_table_is_total() -> None:
    assert set(TRANSITIONS) == {(state, trigger) for state in State for trigger in Trigger}
    assert set(PLAYBOOK) == set(TRANSITIONS)


def test_only_interruptions_hush() -> None:
    """No other row may stop an answer; with interrupt_response false no such trigger is ever taken."""
    hushing = {key for key, row in TRANSITIONS.items() if Action.HUSH in row.actions}
    assert hushing == {(state, Trigger.SPEECH) for state in (State.THINKING, State.REPLYING, State.TALKED_OVER)}


def test_announcement_comes_before_the_model_is_bothered() -> None:
    for row in TRANSITIONS.values():
        if Action.CUT in row.actions:
            assert row.actions[0] is Action.HUSH
            assert row.actions[-1] is Action.CUT


def test_caller_speaks_only_in_its_two_states() -> None:
    turns = TurnTaking()
    speaking = []
    for state in State:
        turns.state = state
        if turns.caller_speaks:
            speaking.append(state)
    assert speaking == [State.HEARING, State.TALKED_OVER]
