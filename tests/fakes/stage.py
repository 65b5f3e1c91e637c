"""A whole conversation in virtual time: a session, a cascade and engines that do what the test says.

No clock, no sockets: `advance` moves time to every deadline in between, exactly as the rim's timers would. What the
caller would read is in `caller`, what the engines were asked for in `work`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TypeVar

from relay import commands as c
from relay import events as e
from relay.core.cascade import Cascade
from relay.core.session import Plan, Session
from relay.nouns import PCM16K, Settings
from tests.fakes.scripted_hearing import ScriptedHearing, script

T = TypeVar("T", bound=e.Event)

MS_16K = b"\1\0" * 16
"""A millisecond of audio at 16 kHz."""


class Stage:
    """Session and cascade, wired as the pump wires them."""

    def __init__(self, settings: Settings | None = None, **plan: object) -> None:
        base = settings or Settings(model="local/agent")
        base = replace(base, input_format=PCM16K, output_format=PCM16K)
        self.plan = Plan("sess_t", base, composed=True, model_input=PCM16K, model_output=PCM16K, **plan)  # type: ignore[arg-type]
        self.session = Session(self.plan)
        self.cascade = Cascade("sess_t", base, PCM16K, PCM16K)
        self.now = 100.0
        self.caller: list[e.Event] = []
        self.model: list[e.Event] = []
        self.work: list[c.Command] = []
        self.commands: list[c.Command] = []
        self.hearing: ScriptedHearing | None = None
        self._waiting: deque[e.Event] = deque()  # bounded: emptied before every return
        self._stepping = False
        self._run(self.session.start(self.now))

    def open(self) -> Stage:
        """The model is there; detection is scripted."""
        self.say(e.LegOpened("model"))
        if self.session.floor.ears.detection is not None:
            self.hearing = script(self.session)
        return self

    def say(self, event: e.Event) -> Stage:
        """The caller says something, or the world reports."""
        self._run(self.session.handle(event, self.now))
        return self

    def engine(self, event: e.Event) -> Stage:
        """An engine reports."""
        self._cascade(self.cascade.handle(event, self.now))
        return self

    def advance(self, seconds: float) -> Stage:
        """Let time go by, with every deadline kept."""
        end = self.now + seconds
        for _ in range(10_000):
            deadlines = [at for at in (self.session.deadline(), self.cascade.deadline()) if at is not None]
            at = min(deadlines, default=None)
            if at is None or at > end:
                break
            self.now = max(self.now, at)
            self._run(self.session.wake(self.now))
            self._cascade(self.cascade.wake(self.now))
        else:
            raise AssertionError("deadlines without end")
        self.now = end
        return self

    def audio(self, ms: int = 20) -> Stage:
        return self.say(e.AudioAppended(MS_16K * ms))

    def speak(self, ms: int = 200) -> Stage:
        """The caller begins to speak and goes on."""
        assert self.hearing is not None
        self.hearing.speak()
        return self.audio(ms)

    def fall_silent(self) -> Stage:
        assert self.hearing is not None
        self.hearing.fall_silent()
        return self.audio(20)

    def turn(self, text: str = "hello") -> Stage:
        """One spoken turn, transcribed."""
        self.speak().fall_silent()
        ref = self.last_work(c.FinishListening).ref
        return self.engine(e.TranscriptHeard(ref, text, True))

    def think(self, text: str) -> Stage:
        """The chat model answers the last question in one go."""
        ref = self.last_work(c.Think).ref
        return self.engine(e.ReplyProduced(ref, text)).engine(e.ReplyFinished(ref, 10, 5))

    def sound(self, ms: int, words: tuple[object, ...] = ()) -> Stage:
        """The synthesizer delivers the clause it was asked for last."""
        ref = self.last_work(c.Speak).ref
        return self.engine(e.SpeechProduced(ref, MS_16K * ms, words)).engine(e.SpeechFinished(ref))  # type: ignore[arg-type]

    def last_work(self, kind: type[c.Command]) -> c.Command:  # type: ignore[type-var]
        return [command for command in self.work if isinstance(command, kind)][-1]

    def told(self, kind: type[T]) -> list[T]:
        """Events of a kind that the caller was told."""
        return [event for event in self.caller if isinstance(event, kind)]

    def asked(self, kind: type[T]) -> list[T]:
        """Requests of a kind that the model got."""
        return [event for event in self.model if isinstance(event, kind)]

    def _run(self, commands: list[c.Command]) -> None:
        """What the cascade emits waits until these commands are done, as at the rim."""
        self._carry_out(commands)
        if self._stepping:
            return
        self._stepping = True
        while self._waiting:
            self._carry_out(self.session.handle(self._waiting.popleft(), self.now))
        self._stepping = False

    def _carry_out(self, commands: list[c.Command]) -> None:
        for command in commands:
            self.commands.append(command)
            if isinstance(command, c.ToCaller):
                self.caller.append(command.event)
            elif isinstance(command, c.ToModel):
                self.model.append(command.event)
                self._collect(self.cascade.handle(command.event, self.now))
            else:
                self.work.append(command)

    def _cascade(self, commands: list[c.Command]) -> None:
        self._collect(commands)
        self._run([])

    def _collect(self, commands: list[c.Command]) -> None:
        for command in commands:
            if isinstance(command, c.Emit):
                self._waiting.append(command.event)
            else:
                self.commands.append(command)
                self.work.append(command)
