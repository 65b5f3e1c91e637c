"""A session in front of a model at the other end of a socket, in virtual time; the test plays the model."""

from __future__ import annotations

from typing import TypeVar

from relay import commands as c
from relay import events as e
from relay.core.session import Plan, Session
from relay.nouns import Fault, Item, Part, Settings
from tests.fakes.scripted_hearing import ScriptedHearing, script

T = TypeVar("T", bound=e.Event)

MS_24K = b"\1\0" * 24
"""A millisecond of audio at 24 kHz."""


class Remote:
    """What the caller would read is in `caller`, what the model would in `model`."""

    def __init__(self, settings: Settings | None = None, *, opened: bool = True, **plan: object) -> None:
        self.session = Session(Plan("sess_t", settings or Settings(model="sim/x"), **plan))  # type: ignore[arg-type]
        self.now = 100.0
        self.caller: list[e.Event] = []
        self.model: list[e.Event] = []
        self.work: list[c.Command] = []
        self.hearing: ScriptedHearing | None = None
        self._run(self.session.start(self.now))
        if opened:
            self.open()

    def open(self) -> Remote:
        self.say(e.LegOpened("model")).say(e.SessionOpened("sess_model", Settings(), raw=b"{}"))
        if self.session.floor.ears.detection is not None:
            self.hearing = script(self.session)
        return self

    def say(self, *events: e.Event) -> Remote:
        for event in events:
            self._run(self.session.handle(event, self.now))
        return self

    def advance(self, seconds: float) -> Remote:
        end = self.now + seconds
        while (deadline := self.session.deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self._run(self.session.wake(self.now))
        self.now = end
        return self

    def speak(self, ms: int = 200) -> Remote:
        assert self.hearing is not None
        self.hearing.speak()
        return self.say(e.AudioAppended(MS_24K * ms))

    def turn(self) -> Remote:
        self.speak()
        assert self.hearing is not None
        self.hearing.fall_silent()
        return self.say(e.AudioAppended(MS_24K * 20))

    def types(self, text: str = "hi") -> Remote:
        item = Item("", "message", "user", content=(Part("input_text", text),))
        return self.say(e.ItemCreateRequested(item))

    def started(self, response_id: str) -> Remote:
        return self.say(e.ResponseStarted(response_id, conversation_id="conv"))

    def sounding(self, response_id: str, ms: int = 2000) -> Remote:
        return self.say(e.AudioProduced(response_id, f"item_{response_id}", MS_24K * ms))

    def done(self, response_id: str, reason: str | None = None) -> Remote:
        status = "cancelled" if reason else "completed"
        return self.say(e.ResponseFinished(response_id, status, reason, conversation_id="conv"))  # type: ignore[arg-type]

    def calls(self, response_id: str, name: str = "tool", call_id: str = "call_1") -> Remote:
        """A response that only calls a tool."""
        self.say(e.ToolCalled(response_id, f"item_{call_id}", call_id, name, "{}"))
        return self.done(response_id)

    def refuses(self, request: e.Event, code: str) -> Remote:
        """The model reports an error about a request of ours, with its id, as OpenAI does."""
        fault = Fault("invalid_request_error", code, code, None, request.request_id)  # type: ignore[attr-defined]
        return self.say(e.Failed(fault))

    def asked(self, kind: type[T]) -> list[T]:
        return [event for event in self.model if isinstance(event, kind)]

    def told(self, kind: type[T]) -> list[T]:
        return [event for event in self.caller if isinstance(event, kind)]

    def _run(self, commands: list[c.Command]) -> None:
        for command in commands:
            if isinstance(command, c.ToCaller):
                self.caller.append(command.event)
            elif isinstance(command, c.ToModel):
                self.model.append(command.event)
            else:
                self.work.append(command)
