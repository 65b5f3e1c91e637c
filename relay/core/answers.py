"""Asking the model for answers: never two at once, and the tool calls in between.

An answer is asked for by the caller, by the end of a turn, by the idle timeout, or because a batch of tool calls has
its outputs. Here all of them meet: while one is active the next waits, and what waits is asked for once.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from relay import limits
from relay.commands import RunTool, StopTool
from relay.core.context import Context
from relay.core.delivery import RecentIds
from relay.core.tools import Call, ToolLedger, Verdict
from relay.core.turns import Trigger, TurnTaking
from relay.events import (
    CancelRequested,
    Event,
    Failed,
    ItemAdded,
    ItemCreateRequested,
    ItemFinished,
    OutputItemFinished,
    OutputItemStarted,
    ResponseFinished,
    ResponseRequested,
    ResponseStarted,
    ToolAnswered,
    ToolArgumentsProduced,
    ToolCalled,
)
from relay.nouns import Fault, Item, ResponseOptions

BARE = ResponseOptions()
SILENCE = ResponseOptions(tool_choice="none")
"""The continuation after a loop of calls: say something instead."""


class Answers:
    """The responses and tool calls of one session."""

    def __init__(self, context: Context, turns: TurnTaking, take: Callable[[Trigger], None]) -> None:
        self._context = context
        self._turns = turns
        self._take = take
        plan = context.plan
        self.tools = ToolLedger(frozenset(tool.name for tool in plan.server_tools), plan.tool_deadlines_s)
        self.active: str | None = None
        """The response that writes to the conversation now."""
        self.progress_at = 0.0
        """When the active response last produced something."""
        self.unprompted = False
        """The answer is to silence, not to the caller: it does not count as activity."""
        self._asked: ResponseRequested | None = None
        """The request that no answer has begun for."""
        self._waiting: ResponseRequested | None = None
        self._ended = RecentIds()
        """Answers that we ended ourselves; their own end, should it still come, is not passed on."""
        self._interrupted = RecentIds()
        """Answers cut because the caller spoke: a model that was asked to cancel says that the client did it."""
        self._out_of_band = 0
        """Out-of-band answers asked for that have not begun."""
        self._doomed = False
        """The answer that was asked for was cancelled before it began."""

    @property
    def busy(self) -> bool:
        """An answer is being produced, or was asked for."""
        return self.active is not None or self._asked is not None

    # --- asking

    def want(self, request: ResponseRequested) -> None:
        """Ask as soon as no other answer is active. Of several that wait, the last is asked for."""
        if self.busy:
            self._waiting = request
        else:
            self._ask(request)

    def requested(self, event: ResponseRequested) -> None:
        """The caller asks for an answer."""
        if event.options.out_of_band:
            self._out_of_band += 1
            self._context.ask(event)
            return
        if event.options == BARE:
            busy = self.busy or self._turns.caller_speaks
            if self.tools.requested(busy=busy) is not Verdict.PASS:
                return
        if not self.busy:
            self._ask(event)
        elif event.takeover:
            self.cancel("client_cancelled")
            self._waiting = event
        else:
            self._context.ask(event)  # the model names the answer that is active, in its own error

    def cancel(
        self,
        reason: Literal["client_cancelled", "turn_detected"],
        heard: tuple[str, int] | None = None,
        request: CancelRequested | None = None,
    ) -> None:
        """Cut the active answer: what still comes of it is not sent on."""
        context = self._context
        self._waiting = None
        if request is None and not self.busy:
            return
        if self.active is not None:
            context.delivery.mute(self.active)
            if reason == "turn_detected":
                self._interrupted.add(self.active)
        else:
            self._doomed = self._asked is not None
        request = request or CancelRequested(strict=False)
        if request.request_id is None and request.raw is None:
            request = replace(request, request_id=context.own_id())
        context.ask(replace(request, reason=reason, heard=heard))

    def _ask(self, request: ResponseRequested) -> None:
        if request.request_id is None and request.raw is None:
            request = replace(request, request_id=self._context.own_id())
        self._asked = request
        self._waiting = None
        self.tools.asking()
        self.progress_at = self._context.now
        self._context.timers.set("stall", self._context.now + limits.REPLY_STALL_S)
        self._context.ask(request)
        self._take(Trigger.ASKED)

    def refused(self, request_id: str | None) -> None:
        """The model reported an error about a request: if it was the one for an answer, nothing is coming."""
        if self._asked is None or self._asked.request_id != request_id:
            return
        refused, self._asked, self._doomed = self._asked, None, False
        if self.active is not None:  # another one was active after all: it is asked for again behind that one
            self._waiting = self._waiting or refused
        else:
            self.go_on()

    # --- what the model does

    def started(self, event: ResponseStarted) -> None:
        context = self._context
        if event.conversation_id is None and self._out_of_band:
            self._out_of_band -= 1
        else:
            self.active = event.response_id
            self.tools.response_started(asked=self._asked is not None)
            self._asked = None
            self.progress_at = context.now
            if self._doomed:
                self._doomed = False
                context.delivery.mute(event.response_id)
                self._interrupted.add(event.response_id)
            context.timers.set("stall", context.now + limits.REPLY_STALL_S)
            self._take(Trigger.ASKED)
        self._alive()
        context.tell(event)

    def _alive(self) -> None:
        if not self.unprompted:
            self._context.active()

    def finished(self, event: ResponseFinished) -> None:
        context = self._context
        self.tools.response_finished(event.response_id)
        if event.response_id == self.active:
            self.active = None
            context.timers.clear("stall")
        self._alive()
        if event.response_id not in self._ended:
            if event.response_id in self._interrupted and event.reason == "client_cancelled":
                event = replace(event, reason="turn_detected", raw=None)
            context.tell(event if context.plan.transparent else context.delivery.without_hidden(event))
        self.go_on()

    def go_on(self) -> None:
        """Ask for what waits; else, once nothing is heard any more, it is nobody's turn."""
        if self.busy:
            return
        if self._waiting is not None:
            self._ask(self._waiting)
        elif self.tools.owes() and not self._turns.caller_speaks:
            options = SILENCE if self.tools.looped else BARE
            self.tools.continued()
            self._ask(ResponseRequested(options))
        else:
            self.rest()

    def rest(self) -> None:
        """No answer is active and none waits; it is nobody's turn once nothing is being heard any more."""
        ends_at = self._context.delivery.playout.ends_at
        if self.busy:
            return
        if ends_at > self._context.now:
            self._context.timers.set("playout", ends_at)
        else:
            self._context.timers.clear("playout")
            self._alive()
            self.unprompted = False
            self._take(Trigger.ANSWERED)

    def stalled(self) -> None:
        """The stall timer came: an answer that produces nothing is ended, so that nobody waits in silence."""
        context = self._context
        # A long clause is synthesized at once and heard for long: nothing need come before it is nearly over.
        due = max(self.progress_at, context.delivery.playout.ends_at) + limits.REPLY_STALL_S
        if not self.busy:
            return
        if context.now < due:
            context.timers.set("stall", due)
            return
        stalled, waiting = self.active, self._waiting
        self.cancel("client_cancelled", request=CancelRequested(response_id=stalled, strict=False))
        self._waiting = waiting
        if stalled is None:  # it never began, so it will not go on with the tools either: not to be asked for again
            self.tools.response_started(asked=True)
        self._asked, self._doomed, self.active = None, False, None
        fault = Fault("server_error", "response_stalled", "The model produced nothing for too long.")
        context.tell(Failed(fault))
        if stalled is not None:
            self._ended.add(stalled)
            self.tools.response_finished(stalled)
            context.tell(ResponseFinished(stalled, "failed", fault=fault))
        self.go_on()

    # --- tool calls

    def called(self, event: ToolCalled) -> None:
        context = self._context
        self.progress_at = context.now
        verdict = self.tools.called(event, context.now)
        if verdict is Verdict.SWALLOW:
            return
        if event.response_id in context.delivery.muted:
            self._answer_for(self.tools.find(event.call_id), "cancelled", "The caller interrupted before this was run.")
        elif verdict is Verdict.REPEATED:
            text = f"{self._named(event.name)} was called again and again; this call was not run."
            context.warn("tool_loop", text)
            self._answer_for(self.tools.find(event.call_id), "loop", "Called too often. Do not call it again; answer.")
        elif verdict is Verdict.RUN:
            context.do(RunTool(event.call_id, event.name, event.arguments))
            self._arm()
        else:
            context.tell(event)
            self._arm()

    def arguments(self, event: ToolArgumentsProduced) -> None:
        delivery = self._context.delivery
        self.progress_at = self._context.now
        if event.response_id not in delivery.muted and not delivery.hides_id(event.item_id):
            self._context.tell(event)

    def returned(self, event: ToolAnswered) -> None:
        """A server tool has returned."""
        call = self.tools.find(event.call_id)
        if call is None or not self.tools.answer(event.call_id):
            return
        self._output(call, event.output)
        self.go_on()

    def output_by_caller(self, event: ItemCreateRequested) -> None:
        """The caller hands in the output of a call."""
        call_id = event.item.call_id or ""
        call = self.tools.find(call_id)
        if (call is not None and call.by_relay) or not self.tools.answer(call_id):
            text = f"The call {call_id[:64]!r} has an output; this one was dropped."
            self._context.warn("tool_already_answered", text)
            return
        self._context.active()
        self._context.ask(event)
        self._arm()
        self.go_on()

    def overdue(self) -> None:
        """The tool timer came: calls whose deadline has passed are answered for."""
        for call in self.tools.overdue(self._context.now):
            self._context.warn("tool_timeout", f"{self._named(call.name)} did not answer in time.")
            if call.by_relay:
                self._context.do(StopTool(call.call_id))
            self._answer_for(call, "timeout", "The tool did not answer in time.")
        self._arm()
        self.go_on()

    def _named(self, tool: str) -> str:
        """A tool as it may be named to the caller."""
        hidden = tool in self.tools.server_tools and not self._context.plan.show_tools
        return "A tool" if hidden else f"The tool {tool!r}"

    def _answer_for(self, call: Call | None, code: str, message: str) -> None:
        if call is not None and self.tools.answer(call.call_id, synthetic=True):
            self._output(call, json.dumps({"error": code, "message": message}))

    def _output(self, call: Call, output: str) -> None:
        item = Item(id="", type="function_call_output", call_id=call.call_id, name=call.name, output=output)
        self._context.ask(ItemCreateRequested(item))
        if call.by_relay and self._context.plan.show_tools:
            self._show(call, output)
        self._arm()

    def _show(self, call: Call, output: str) -> None:
        """A server tool as the caller sees it: run already (OpenAI Realtime section 8, mcp_call)."""
        members = {
            "type": "mcp_call",
            "server_label": "relay",
            "name": call.name,
            "arguments": call.arguments,
            "output": output,
            "error": None,
            "approval_request_id": None,
        }
        item = Item(id=call.item_id, type="mcp_call", extra=members)
        self._context.tell(ItemAdded(item))
        self._context.tell(ItemFinished(item))

    def _arm(self) -> None:
        at = self.tools.deadline()
        if at is None:
            self._context.timers.clear("tools")
        else:
            self._context.timers.set("tools", at)

    def item(self, event: OutputItemStarted | OutputItemFinished) -> Event | None:
        """An output item as the caller sees it; None when it is hidden."""
        self.progress_at = self._context.now
        return None if self._context.delivery.hides(event.item) else event
