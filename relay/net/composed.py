"""The model's leg that is composed here: the pure cascade, and the engines that do its work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from relay.commands import Command, Emit
from relay.core.cascade import Cascade
from relay.events import Event
from relay.net.alarm import Alarm
from relay.net.parts import Sink
from relay.net.turnstile import Turnstile


class Engines(Protocol):
    """One conversation's share of the speech engines (`net.engines.EngineSession`)."""

    def do(self, command: Command) -> None:
        """Begin a piece of work; its reports come to the sink that the session was opened with."""
        ...

    def close(self) -> None:
        """Stop all work; no report comes any more."""
        ...


class CascadeLeg:
    """A cascade as a model leg.

    Args:
        cascade: the conversation.
        open_engines: gives the engines that report to a sink.
        sink: is given what the cascade emits.
    """

    def __init__(self, cascade: Cascade, open_engines: Callable[[Sink], Engines], sink: Sink) -> None:
        self.audio_format = cascade.input_format
        self._cascade = cascade
        self._sink = sink
        self._clock = asyncio.get_running_loop().time
        self._turnstile: Turnstile[Event | None] = Turnstile(self._step)
        self._alarm = Alarm(lambda: self._turnstile.add(None))
        self._closed = False
        self._engines = open_engines(self.send)

    def start(self) -> None:
        """Nothing to do: a cascade does nothing unasked."""

    def send(self, event: Event) -> None:
        """A request from the session, or a report from an engine."""
        if not self._closed:
            self._turnstile.add(event)

    def pause(self, paused: bool) -> None:
        """Nothing to do: a cascade speaks only as far ahead as is being heard."""

    def look(self, now: float) -> None:
        """Nothing to look after."""

    def close(self) -> None:
        """Stop all work at once."""
        self._closed = True
        self._alarm.set(None)
        self._engines.close()

    def _step(self, event: Event | None) -> None:
        now = self._clock()
        commands = self._cascade.wake(now) if event is None else self._cascade.handle(event, now)
        for command in commands:
            if isinstance(command, Emit):
                self._sink(command.event)
            elif not self._closed:
                self._engines.do(command)
        if not self._closed:
            self._alarm.set(self._cascade.deadline())
