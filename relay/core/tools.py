"""The tool ledger: every call that a model issued is answered once, and every batch is continued once.

Calls of one response form a batch. A call belongs to the relay (a server tool) or to the caller. When the response is
finished and every call of it has an output, a continuation is owed: one request for an answer. Any answer that begins
after the last output has come pays it, also one that the caller's next words led to; so it is never asked for twice and
never while another answer is active. The ledger only keeps the books: `core.session` sends what it says.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum

from relay import limits
from relay.events import ToolCalled

BATCHES = 16
"""Batches remembered; late answers to older ones are refused like unknown ones."""


class Verdict(Enum):
    """What becomes of a call, an output or a request for an answer."""

    RUN = "a server tool is to be run"
    PASS = "the caller's business"  # noqa: S105 - not a password
    REPEATED = "the same call came too often: it is answered for"
    HOLD = "not now: it will be sent when the outputs are complete and no answer is active"
    SWALLOW = "already done"


class Call:
    """One call."""

    __slots__ = ("answered", "arguments", "by_relay", "call_id", "deadline", "item_id", "name")

    def __init__(self, event: ToolCalled, by_relay: bool, deadline: float) -> None:
        self.call_id = event.call_id
        self.item_id = event.item_id
        self.name = event.name
        self.arguments = event.arguments
        self.by_relay = by_relay
        self.deadline = deadline
        self.answered = False


class Batch:
    """The calls of one response."""

    __slots__ = ("asked", "calls", "finished", "looped", "paid", "synthetic", "wanted")

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.finished = False
        """The response that made the calls is done."""
        self.asked = False
        """An answer was asked for after the last output."""
        self.paid = False
        """That answer began."""
        self.wanted = False
        """The caller asked for the continuation."""
        self.synthetic = False
        """We answered for the caller, so the continuation is ours to ask for."""
        self.looped = False
        """The breaker opened: the continuation must not call tools again."""

    @property
    def complete(self) -> bool:
        """The response is done and every call has its output."""
        return self.finished and all(call.answered for call in self.calls)

    @property
    def ours(self) -> bool:
        """Whether the relay asks for the continuation, not the caller."""
        return self.synthetic or self.wanted or all(call.by_relay for call in self.calls)


class ToolLedger:
    """The books of one session.

    Args:
        server_tools: names of the tools that the relay runs.
        deadlines_s: name to seconds, where it differs from limits.TOOL_DEADLINE_S.
    """

    def __init__(self, server_tools: frozenset[str], deadlines_s: Mapping[str, float]) -> None:
        self.server_tools = server_tools
        self._deadlines_s = deadlines_s
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._repeats: dict[tuple[str, str], int] = {}
        self._chain = 0
        self.issued = 0
        self.answered = 0

    def called(self, event: ToolCalled, now: float) -> Verdict:
        """A model issued a call. RUN, PASS, or REPEATED (then answer it with an error)."""
        if self.find(event.call_id) is not None:
            return Verdict.SWALLOW
        batch = self._batches.setdefault(event.response_id, Batch())
        self._forget()
        by_relay = event.name in self.server_tools
        deadline = now + self._deadlines_s.get(event.name, limits.TOOL_DEADLINE_S)
        batch.calls.append(Call(event, by_relay, deadline))
        self.issued += 1
        key = (event.name, event.arguments)
        self._repeats[key] = self._repeats.get(key, 0) + 1
        pending = sum(not call.answered for batch in self._batches.values() for call in batch.calls)
        if (
            self._repeats[key] > limits.TOOL_REPEAT_LIMIT
            or self._chain >= limits.TOOL_CHAIN_LIMIT
            or pending > limits.MAX_PENDING_TOOLS
        ):
            batch.looped = True
            return Verdict.REPEATED
        return Verdict.RUN if by_relay else Verdict.PASS

    def _forget(self) -> None:
        """Let old batches go; one with an open call stays until it is answered (MAX_PENDING_TOOLS bounds them)."""
        for response_id in list(self._batches)[:-BATCHES]:
            if self._batches[response_id].complete:
                del self._batches[response_id]

    def find(self, call_id: str) -> Call | None:
        """The call with this id, if it is remembered."""
        for batch in self._batches.values():
            for call in batch.calls:
                if call.call_id == call_id:
                    return call
        return None

    def answer(self, call_id: str, *, synthetic: bool = False) -> bool:
        """An output for a call exists. False: the call has one already (the new one is to be dropped)."""
        for batch in self._batches.values():
            for call in batch.calls:
                if call.call_id != call_id:
                    continue
                if call.answered:
                    return False
                call.answered = True
                self.answered += 1
                batch.synthetic = batch.synthetic or (synthetic and not call.by_relay)
                return True
        return True

    def requested(self, *, busy: bool) -> Verdict:
        """The caller asks for an answer without options, which after a tool call means: go on.

        HOLD while outputs are missing, the calling response is not done, or somebody is busy; SWALLOW when the very
        answer that continues is active already; PASS otherwise.
        """
        for batch in reversed(self._batches.values()):
            if batch.wanted or all(call.by_relay for call in batch.calls):
                continue
            batch.wanted = True
            if batch.paid:
                return Verdict.SWALLOW if busy else Verdict.PASS
            if busy or not batch.complete:
                return Verdict.HOLD
            return Verdict.PASS
        return Verdict.PASS

    def asking(self) -> None:
        """An answer is being asked for: it will have all outputs that the model was given before."""
        for batch in self._batches.values():
            batch.asked = batch.complete

    def response_started(self, *, asked: bool) -> None:
        """An answer began. It pays for the batches that were complete when it was asked for; or, if the model began it
        by itself, for those that are complete now."""
        for batch in self._batches.values():
            if batch.asked if asked else batch.complete:
                batch.paid = True

    def response_finished(self, response_id: str) -> None:
        """The response that made the calls is done, whatever its status."""
        if response_id in self._batches:
            self._batches[response_id].finished = True

    def owes(self) -> bool:
        """Whether a continuation is to be asked for by the relay as soon as nobody is busy."""
        return any(b.complete and b.ours and not b.paid for b in self._batches.values())

    @property
    def looped(self) -> bool:
        """Whether the continuation that is owed must go without tools."""
        return any(b.looped and not b.paid for b in self._batches.values())

    def continued(self) -> None:
        """A continuation was asked for."""
        self._chain += 1

    def caller_spoke(self) -> None:
        """The caller said something: repeated calls are no longer a loop, what it asks for next is something new."""
        self._repeats.clear()
        self._chain = 0
        for batch in self._batches.values():
            batch.wanted = batch.wanted or batch.paid

    def waiting(self) -> list[Call]:
        """Calls without an output."""
        return [call for batch in self._batches.values() for call in batch.calls if not call.answered]

    def overdue(self, now: float) -> list[Call]:
        """Calls whose deadline has come."""
        return [call for call in self.waiting() if call.deadline <= now]

    def deadline(self) -> float | None:
        """When the next call is overdue."""
        return min((call.deadline for call in self.waiting()), default=None)
