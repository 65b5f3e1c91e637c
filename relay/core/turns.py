"""Whose turn it is: a transition table and nothing else.

Everything that decides turn taking is in `TRANSITIONS`: for each state and trigger the next state and the actions,
which `core.floor` carries out in this order. The table is total; `docs/turns.md` is drawn from it. `TurnTaking` only
looks rows up. Two settings choose between triggers, so that the table needs no conditions: with
`interrupt_response: false` speech arrives as SPEECH_OVER instead of SPEECH; `create_response: false` makes ANSWER a
matter of the caller.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple


class State(Enum):
    """What is going on between the two."""

    LISTENING = "nobody speaks and nothing is being answered"
    HEARING = "the caller speaks"
    THINKING = "an answer was asked for and nothing of it has been heard"
    REPLYING = "an answer is being produced or still being heard"
    TALKED_OVER = "the caller speaks while an answer goes on, and may not interrupt it"


class Trigger(Enum):
    """What can happen."""

    SPEECH = "the caller began to speak, and may interrupt"
    SPEECH_OVER = "the caller began to speak, and may not interrupt"
    SILENCE = "the caller's turn is over"
    CLEARED = "the caller took back what was said so far, or committed it by hand"
    ASKED = "an answer was asked for, or the model began one"
    SOUNDED = "the first audio or text of an answer was sent"
    ANSWERED = "no answer is being produced and none is being heard any more"
    IDLED = "nothing happened for the idle timeout"


class Action(Enum):
    """What `core.floor` does about it."""

    OPEN_TURN = "tell the caller that speech started; the model gets the audio from the padding on"
    HUSH = "nothing more of the answer is sent, what waits in the outbox is withdrawn"
    CUT = "cancel the answer at the model, truncate it at what was heard"
    CLOSE_TURN = "tell the caller that speech stopped, commit the turn"
    ANSWER = "ask for an answer, if create_response says so and as soon as none is active"
    ARM_IDLE = "start the idle timeout"
    DISARM_IDLE = "stop the idle timeout"
    NUDGE = "report the idle timeout, commit the silence and ask for an answer"


class Row(NamedTuple):
    """What follows from one trigger in one state."""

    to: State
    actions: tuple[Action, ...] = ()


L, H, T, R, O = State.LISTENING, State.HEARING, State.THINKING, State.REPLYING, State.TALKED_OVER  # noqa: E741
_OPEN, _CLOSE, _ANSWER = Action.OPEN_TURN, Action.CLOSE_TURN, Action.ANSWER
_ARM, _DISARM, _NUDGE = Action.ARM_IDLE, Action.DISARM_IDLE, Action.NUDGE
_INTERRUPT = (Action.HUSH, Action.OPEN_TURN, Action.CUT)
"""The announcement lies between the two: it is what makes the caller's player flush, and it must not wait for the
model."""

TRANSITIONS: dict[tuple[State, Trigger], Row] = {
    (L, Trigger.SPEECH): Row(H, (_DISARM, _OPEN)),
    (H, Trigger.SPEECH): Row(H),
    (T, Trigger.SPEECH): Row(H, _INTERRUPT),
    (R, Trigger.SPEECH): Row(H, _INTERRUPT),
    (O, Trigger.SPEECH): Row(H, (Action.HUSH, Action.CUT)),  # interrupting was allowed while the caller spoke
    (L, Trigger.SPEECH_OVER): Row(H, (_DISARM, _OPEN)),
    (H, Trigger.SPEECH_OVER): Row(H),
    (T, Trigger.SPEECH_OVER): Row(O, (_OPEN,)),
    (R, Trigger.SPEECH_OVER): Row(O, (_OPEN,)),
    (O, Trigger.SPEECH_OVER): Row(O),
    (L, Trigger.SILENCE): Row(L),
    (H, Trigger.SILENCE): Row(L, (_CLOSE, _ANSWER)),  # ANSWER triggers ASKED
    (T, Trigger.SILENCE): Row(T),
    (R, Trigger.SILENCE): Row(R),
    (O, Trigger.SILENCE): Row(R, (_CLOSE, _ANSWER)),
    (L, Trigger.CLEARED): Row(L),
    (H, Trigger.CLEARED): Row(L),
    (T, Trigger.CLEARED): Row(T),
    (R, Trigger.CLEARED): Row(R),
    (O, Trigger.CLEARED): Row(R),
    (L, Trigger.ASKED): Row(T, (_DISARM,)),
    (H, Trigger.ASKED): Row(O),
    (T, Trigger.ASKED): Row(T),
    (R, Trigger.ASKED): Row(R),
    (O, Trigger.ASKED): Row(O),
    (L, Trigger.SOUNDED): Row(R, (_DISARM,)),
    (H, Trigger.SOUNDED): Row(O),
    (T, Trigger.SOUNDED): Row(R),
    (R, Trigger.SOUNDED): Row(R),
    (O, Trigger.SOUNDED): Row(O),
    (L, Trigger.ANSWERED): Row(L),
    (H, Trigger.ANSWERED): Row(H),
    (T, Trigger.ANSWERED): Row(L, (_ARM,)),
    (R, Trigger.ANSWERED): Row(L, (_ARM,)),
    (O, Trigger.ANSWERED): Row(H),
    (L, Trigger.IDLED): Row(L, (_NUDGE,)),
    (H, Trigger.IDLED): Row(H),
    (T, Trigger.IDLED): Row(T),
    (R, Trigger.IDLED): Row(R),
    (O, Trigger.IDLED): Row(O),
}


class TurnTaking:
    """The current state of one session."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.LISTENING

    def take(self, trigger: Trigger) -> tuple[Action, ...]:
        """Move on, and say what is to be done. Never raises: the table is total."""
        row = TRANSITIONS[self.state, trigger]
        self.state = row.to
        return row.actions

    @property
    def caller_speaks(self) -> bool:
        """Whether a turn of the caller is open."""
        return self.state in (State.HEARING, State.TALKED_OVER)
