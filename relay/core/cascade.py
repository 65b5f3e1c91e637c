"""A model side that is composed here: transcriber, chat model, synthesizer. Pure: no I/O, no clock.

To the session it looks like any realtime model: it takes requests and gives happenings (as `Emit`); its own work is
done by engines at the rim, asked for with `Listen`, `Hear`, `FinishListening`, `Think`, `Speak` and `Drop`.
"""

from __future__ import annotations

from relay.commands import Command
from relay.events import Event
from relay.nouns import AudioFormat, Settings


class Cascade:
    """One conversation with a composed model.

    Args:
        session_id: unique; the ids of items and responses are made from it.
        settings: what the session starts with.
        input_format: what the transcriber takes (`AudioAppended` arrives in it, as bytes).
        output_format: what the synthesizer gives (`AudioProduced` leaves in it, as bytes).
    """

    def __init__(self, session_id: str, settings: Settings, input_format: AudioFormat, output_format: AudioFormat) -> None:
        self.session_id = session_id
        self.settings = settings
        self.input_format = input_format
        self.output_format = output_format

    def handle(self, event: Event, now: float) -> list[Command]:
        """A request from the session, or a report from an engine."""
        raise NotImplementedError

    def deadline(self) -> float | None:
        """When `wake` must be called at the latest; None: never."""
        raise NotImplementedError

    def wake(self, now: float) -> list[Command]:
        """The deadline has come."""
        raise NotImplementedError
