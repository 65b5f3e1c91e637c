"""What the parts of one session share: the plan, the settings, the time, and the two lines to the outside."""

from __future__ import annotations

from relay.commands import Command, ToCaller, ToModel
from relay.core.aliases import Aliases
from relay.core.delivery import Delivery
from relay.core.plan import Plan
from relay.core.timers import Timers
from relay.events import Event, Failed, Warned
from relay.nouns import Fault

OWN_REQUEST = "relay_request_"
"""How the ids of the relay's own requests begin."""

EARLY_EVENTS = 64
"""Things told to the caller before the session is open, kept until it is."""


class Context:
    """Made once for each session; `out` collects the commands of one `handle` or `wake`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.settings = plan.settings
        self.now = 0.0
        self.active_at = 0.0
        """When somebody last spoke, typed or was answered; noise does not count."""
        self.opened = False
        self.closed = False
        self.timers = Timers()
        hidden = frozenset(tool.name for tool in plan.server_tools)
        self.delivery = Delivery(plan.model_output, plan.settings.output_format, hidden)
        self.aliases = Aliases(not plan.composed and plan.relay_turns)
        self.out: list[Command] = []
        self.early: list[Event] = []
        self._ids = 0
        self._requests = 0

    def tell(self, event: Event) -> None:
        """Say something to the caller. What it reads first is that the session is open; only a caller whose settings
        are still awaited is told before that what is wrong with them."""
        if self.opened or (self.plan.waits_for_settings and isinstance(event, Failed)):
            self.out.append(ToCaller(event))
        elif len(self.early) < EARLY_EVENTS:
            self.early.append(event)

    def ask(self, event: Event) -> None:
        """Say something to the model, with the ids that it knows."""
        self.out.append(ToModel(self.aliases.to_model(event)))

    def do(self, command: Command) -> None:
        """Have something else done."""
        self.out.append(command)

    def warn(self, code: str, message: str, param: str | None = None) -> None:
        """Name to the caller what was not done as asked."""
        self.tell(Warned(code, message, param))

    def fail(
        self,
        code: str,
        message: str,
        param: str | None = None,
        request_id: str | None = None,
        kind: str = "invalid_request_error",
    ) -> None:
        """Tell the caller that a request was not carried out."""
        self.tell(Failed(Fault(kind, code, message, param, request_id)))

    def active(self) -> None:
        """The conversation is alive."""
        self.active_at = self.now

    def own_id(self) -> str:
        """An id for a request that the relay makes itself, so that an error about it is known to be ours."""
        self._requests += 1
        return f"{OWN_REQUEST}{self._requests}"

    def new_item_id(self) -> str:
        """An id for an item that the relay announces itself; unique across sessions because the session's id is."""
        self._ids += 1
        return f"item_{self.plan.session_id.removeprefix('sess_')}u{self._ids}"
