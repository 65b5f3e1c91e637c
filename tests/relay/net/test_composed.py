"""The cascade as a model leg: what it asks for is done, what it emits goes on, its deadline is kept."""

from __future__ import annotations

import asyncio
from typing import cast

from relay.commands import Command, Drop, Emit, Think
from relay.core.cascade import Cascade
from relay.events import AudioCleared, ClearRequested, CommitRequested, Event, ReplyProduced
from relay.net.composed import CascadeLeg
from relay.net.parts import Sink
from relay.nouns import PCM16K, Settings

ASKED, HEARD, EMITTED = ClearRequested(), ReplyProduced("r", "words"), AudioCleared()


class ScriptedCascade:
    """Answers each event with the commands of the script; remembers in which order it was asked."""

    input_format = PCM16K

    def __init__(self, script: dict[Event | None, list[Command]], deadline: float | None = None) -> None:
        self.script = script
        self.asked: list[Event | None] = []
        self.due = deadline

    def handle(self, event: Event, now: float) -> list[Command]:
        self.asked.append(event)
        return self.script.get(event, [])

    def deadline(self) -> float | None:
        return self.due

    def wake(self, now: float) -> list[Command]:
        self.asked.append(None)
        self.due = None
        return self.script.get(None, [])


class RecordedEngines:
    """Remembers what it was asked to do; reports when the test says so."""

    def __init__(self) -> None:
        self.done: list[Command] = []
        self.closed = False
        self.report: Sink = lambda event: None

    def open(self, sink: Sink) -> RecordedEngines:
        self.report = sink
        return self

    def do(self, command: Command) -> None:
        self.done.append(command)

    def close(self) -> None:
        self.closed = True


def leg(cascade: ScriptedCascade, engines: RecordedEngines, sink: Sink) -> CascadeLeg:
    return CascadeLeg(cast(Cascade, cascade), engines.open, sink)


THINK = Think("r", (), Settings(), ())


def test_work_goes_to_the_engines_and_happenings_to_the_session() -> None:
    async def scenario() -> None:
        engines, emitted = RecordedEngines(), list[Event]()
        cascade = ScriptedCascade({ASKED: [THINK, Emit(EMITTED)], HEARD: [Drop("r")]})
        made = leg(cascade, engines, emitted.append)
        made.send(ASKED)
        assert (engines.done, emitted) == ([THINK], [EMITTED])
        engines.report(HEARD)
        assert engines.done == [THINK, Drop("r")]

    asyncio.run(scenario())


def test_request_that_an_emitted_event_leads_to_waits_until_all_commands_are_done() -> None:
    async def scenario() -> None:
        engines = RecordedEngines()
        again = CommitRequested()
        cascade = ScriptedCascade({ASKED: [Emit(EMITTED), THINK], again: [Drop("r")]})
        made = leg(cascade, engines, lambda event: made.send(again))
        made.send(ASKED)
        assert engines.done == [THINK, Drop("r")]

    asyncio.run(scenario())


def test_cascade_is_woken_at_its_deadline() -> None:
    async def scenario() -> None:
        engines = RecordedEngines()
        cascade = ScriptedCascade({None: [Drop("r")]})
        made = leg(cascade, engines, lambda event: None)
        cascade.due = asyncio.get_running_loop().time() + 0.005
        made.send(ASKED)
        async with asyncio.timeout(2):
            while not engines.done:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert cascade.asked == [ASKED, None]

    asyncio.run(scenario())


def test_closed_leg_does_nothing_any_more() -> None:
    async def scenario() -> None:
        engines = RecordedEngines()
        cascade = ScriptedCascade({HEARD: [THINK]})
        made = leg(cascade, engines, lambda event: None)
        made.close()
        engines.report(HEARD)
        made.send(HEARD)
        assert engines.closed
        assert not cascade.asked

    asyncio.run(scenario())
