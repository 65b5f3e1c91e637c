"""The bounded way out of one leg: frames go straight to the socket while it takes them, and wait here when it does not.

What waits here can still be withdrawn (`flush`, when the caller interrupts) or dropped (stale caller audio), which is
why the transport itself is kept almost empty. Nothing in this file polls: one task waits for the transport while
something waits in the queue, and `look` is called by the call's own tick.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from relay import limits
from relay.net.line import Line
from relay.net.tasks import spawn
from relay.net.wire import TEXT


class Waiting(NamedTuple):
    """A message that waits for its socket."""

    payload: bytes
    opcode: int
    audio_ms: float
    """0: not audio."""
    response_id: str
    since: float
    """When it was queued, on the loop's clock."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may wait."""

    size_bytes: int
    """`on_full` stalls the producer."""
    audio_ms: float
    sheds: bool
    """False: so much audio stalls the producer, too. True: audio that has *waited* for so long is dropped (a model's
    leg): a clip that came at once is no staler for its length."""


CALLER_BOUNDS = Bounds(limits.CALLER_OUTBOX_BYTES, limits.CALLER_OUTBOX_AUDIO_MS, sheds=False)
MODEL_BOUNDS = Bounds(limits.MODEL_OUTBOX_BYTES, limits.MODEL_OUTBOX_AUDIO_MS, sheds=True)


class Outbox:
    """Sends on `line`, in order.

    Args:
        line: the socket.
        bounds: what may wait.
        on_full: called with True when the bounds are reached, with False when the queue is half empty again.
    """

    def __init__(self, line: Line, bounds: Bounds, on_full: Callable[[bool], None] = lambda full: None) -> None:
        self._line = line
        self._bounds = bounds
        self._on_full = on_full
        self._queue: deque[Waiting] = deque()  # bounded by `bounds`: see send
        self._draining: asyncio.Task[None] | None = None
        self._closed = False
        self._taken_bytes = 0
        self._taken_at: float | None = None
        self.full = False
        self.waiting_bytes = 0
        self.waiting_ms = 0.0
        self.dropped_ms = 0.0
        """Audio that was given up because the socket did not drain."""

    def send(self, payload: bytes, *, opcode: int = TEXT, audio_ms: float = 0.0, response_id: str = "") -> None:
        """Send a message, or queue it. Never blocks, never raises; a closed outbox swallows it."""
        if not self._queue and self._line.has_room:
            if not self._closed:
                self._line.write(payload, opcode)
            return
        if self._closed:
            return
        self._queue.append(Waiting(payload, opcode, audio_ms, response_id, asyncio.get_running_loop().time()))
        self.waiting_bytes += len(payload)
        self.waiting_ms += audio_ms
        self._gauge()
        if self._draining is None:
            self._draining = spawn(self._drain(), name="outbox")

    def flush(self, response_id: str) -> float:
        """Withdraw audio of this response that still waits; returns its milliseconds."""
        if not self._queue:
            return 0.0
        before = self.waiting_ms
        self._keep(lambda entry: not entry.audio_ms or entry.response_id != response_id)
        self._gauge()
        return before - self.waiting_ms

    def look(self, now: float) -> bool:
        """Called every limits.TICK_S: drop what is stale, and say whether the peer has taken nothing for
        limits.WRITE_DEADLINE_S although something waits for it."""
        if self._bounds.sheds:
            self._shed(now - self._bounds.audio_ms / 1000)
        taken = self._line.taken_bytes
        if taken > self._taken_bytes or self._taken_at is None or self._line.is_idle:
            self._taken_bytes = taken
            self._taken_at = now
        return now - self._taken_at >= limits.WRITE_DEADLINE_S

    async def emptied(self) -> None:
        """Wait until everything has gone to the transport, or the socket is gone."""
        if self._draining is not None:
            await asyncio.wait([self._draining])

    @property
    def overrun(self) -> bool:
        """Whether twice the bounds wait: stalling the producer did not help."""
        return (self.waiting_bytes > 2 * self._bounds.size_bytes
                or self.waiting_ms > 2 * self._bounds.audio_ms)

    def close(self) -> None:
        """Forget what waits and take nothing more."""
        self._closed = True
        self._queue.clear()
        self.waiting_bytes = 0
        self.waiting_ms = 0.0

    async def _drain(self) -> None:
        try:
            while self._queue:
                await self._line.room()
                while self._queue and self._line.has_room:
                    entry = self._queue.popleft()
                    self.waiting_bytes -= len(entry.payload)
                    self.waiting_ms -= entry.audio_ms
                    self._line.write(entry.payload, entry.opcode)
                self._gauge()
        except ConnectionError:  # the reading side reports the end
            self.close()
        finally:
            self._draining = None

    def _shed(self, before: float) -> None:
        """Drop the audio that was queued before; control messages stay, in order."""
        if self._queue and self._queue[0].since < before:
            waiting_ms = self.waiting_ms
            self._keep(lambda entry: not entry.audio_ms or entry.since >= before)
            self.dropped_ms += waiting_ms - self.waiting_ms
            self._gauge()

    def _keep(self, stays: Callable[[Waiting], bool]) -> None:
        kept = [entry for entry in self._queue if stays(entry)]
        self._queue.clear()
        self._queue.extend(kept)
        self.waiting_bytes = sum(len(entry.payload) for entry in kept)
        self.waiting_ms = sum(entry.audio_ms for entry in kept)

    def _gauge(self) -> None:
        """Tell the producer when the queue fills up and when it has emptied."""
        bounds = self._bounds
        audio_ms = 0.0 if bounds.sheds else self.waiting_ms
        if not self.full:
            if self.waiting_bytes >= bounds.size_bytes or audio_ms >= bounds.audio_ms:
                self.full = True
                self._on_full(True)
        elif self.waiting_bytes <= bounds.size_bytes / 2 and audio_ms <= bounds.audio_ms / 2:
            self.full = False
            self._on_full(False)
