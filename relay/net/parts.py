"""What a call is made of at the rim, as protocols: a model's leg, the speech judge, the tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from relay.events import Event
from relay.nouns import AudioFormat

Sink = Callable[[Event], None]
"""Where events go; to be called on the event loop."""


class ModelLeg(Protocol):
    """The model's side of a call: another server's socket, or a cascade."""

    audio_format: AudioFormat
    """What the model is sent."""

    def start(self) -> None:
        """The session knows of the leg; events may come from now on."""
        ...

    def send(self, event: Event) -> None: ...

    def pause(self, paused: bool) -> None:
        """The caller does not keep up (or does again)."""
        ...

    def look(self, now: float) -> None:
        """Called every limits.TICK_S: end what is stuck."""
        ...

    def close(self) -> None:
        """Release everything; no event comes any more."""
        ...


class SpeechJudge(Protocol):
    """`net.judge.SpeechJudge`, as far as a call needs it."""

    def open(self, key: str, sink: Sink, /) -> None: ...
    def submit(self, key: str, first_window: int, windows: bytes, fresh: bool, /) -> None: ...
    def close(self, key: str, /) -> None: ...


class Tools(Protocol):
    """`net.tools.runner.ToolRunner`, as far as a call needs it."""

    def run(
        self, call_id: str, name: str, arguments: str, sink: Sink, agent_tools: Sequence[str]
    ) -> asyncio.Task[None]: ...
