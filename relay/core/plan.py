"""What a session knows before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from relay import limits
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
    """The model is a `Cascade`: open as soon as its leg is, and a second truncation of an item refines the first."""
    transparent: bool = False
    """Both legs speak the same dialect, and nothing is pinned or hidden: frames may pass as they are."""
    waits_for_settings: bool = False
    """The caller's first settings are part of opening (AI SDK)."""
    model_voices: tuple[str, ...] = ()
    """Voices the model has; () means not known. Another one is named in a warning."""
    greeting: str | None = None
    """Said by the model as soon as the session is open."""
    expires_at: int = 0
    """Unix seconds at which the session will be ended; 0: not said."""
    max_session_s: float = limits.MAX_SESSION_S
    idle_limit_s: float = limits.IDLE_LIMIT_S
