"""One conversation: a caller leg, a model leg and the state between them. Pure: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay import limits
from relay.commands import Command
from relay.events import Event
from relay.nouns import AudioFormat, Settings, Tool


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a session has to know before it starts."""

    session_id: str
    """`sess_…`, unique."""
    settings: Settings
    """Where the caller starts from: defaults, then the agent's, then the token's."""
    pinned: frozenset[str] = frozenset()
    """Names of `Settings` fields that the caller cannot change; trying is answered with a `Warned`."""
    server_tools: tuple[Tool, ...] = ()
    """Tools that the relay runs itself (`RunTool`)."""
    show_tools: bool = True
    """Whether the caller sees the server tools and their calls."""
    tool_deadlines_s: Mapping[str, float] = field(default_factory=dict)
    """Tool name to seconds, where it differs from limits.TOOL_DEADLINE_S."""
    model_input: AudioFormat | None = None
    """What the model takes; None: whatever the caller sends, untouched."""
    model_output: AudioFormat | None = None
    """What the model gives; None: what the caller asked for."""
    relay_turns: bool = True
    """Who detects turns: True: the relay (always so in front of a cascade); False: the model."""
    judged: bool = True
    """Whether a speech judge answers `Judge`; False: the gate alone decides."""
    composed: bool = False
    """The model is a `Cascade`: it is open as soon as its leg is, and a second truncation of an item refines the first."""
    transparent: bool = False
    """Both legs speak the same dialect, and nothing is pinned or hidden: frames may pass as they are."""
    waits_for_settings: bool = False
    """The caller's first settings are part of opening (AI SDK)."""
    model_voices: tuple[str, ...] = ()
    """Voices the model has; () means not known. Another one is named in a warning."""
    greeting: str | None = None
    """Said by the model as soon as the session is open."""
    max_session_s: float = limits.MAX_SESSION_S
    idle_limit_s: float = limits.IDLE_LIMIT_S


class Session:
    """The conversation. `net/pump.py` is the only caller.

    `start` once, then `handle` for every event and `wake` at every `deadline`. Each returns what is to be done, in
    order, and never raises on what a peer sent. `now` is seconds on a clock that never goes back.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan

    def start(self, now: float) -> list[Command]:
        """Begin. The model's leg is being dialled from now on; what is meant for it is held until `LegOpened`."""
        raise NotImplementedError

    def handle(self, event: Event, now: float) -> list[Command]:
        """Something happened, on either leg or in the world."""
        raise NotImplementedError

    def deadline(self) -> float | None:
        """When `wake` must be called at the latest; None: never. May change after every call."""
        raise NotImplementedError

    def wake(self, now: float) -> list[Command]:
        """The deadline has come (or passed, or not quite: then nothing happens)."""
        raise NotImplementedError
