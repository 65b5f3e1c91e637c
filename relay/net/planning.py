"""From what a caller asked for and may do to the `Plan` of its session. Pure, apart from the wall clock's `now`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import orjson

from relay.config import AgentSettings, TurnSettings
from relay.core.plan import Plan
from relay.dialects.ai_gateway import GatewayCaller
from relay.dialects.openai_realtime import OpenAICaller
from relay.errors import CallerError
from relay.events import Rejected, SessionOpened, SettingsRequested
from relay.nouns import PCM24, AudioFormat, Settings, Tool, Transcription, TurnDetection
from relay.routing import Route


class ToolShelf(Protocol):
    """`net.tools.runner.ToolRunner`, as far as a plan needs it."""

    def tools_of(self, names: Sequence[str]) -> tuple[Tool, ...]: ...
    def deadlines_of(self, names: Sequence[str]) -> dict[str, float]: ...


def plan_of(
    route: Route, session: Mapping[str, Any], max_s: float, *, caller: str, judged: bool, shelf: ToolShelf | None,
    now: float,
) -> Plan:
    """Everything that the session of one call has to know.

    Args:
        route: where its model is, and which agent was named.
        session: settings that its token carries, in the words of the door that minted it.
        max_s: the longest that its token allows.
        caller: name of the dialect that the caller speaks.
        judged: whether there is a speech judge.
        shelf: the server tools.
        now: Unix seconds.
    """
    agent = route.agent or AgentSettings()
    target = route.target
    pinned = settings_of(agent)
    start = {name: value for name, value in session_changes(session).items() if name not in pinned and name != "model"}
    names = agent.tools if shelf is not None else ()
    max_s = min(max_s, agent.limits.max_session_s)
    plain = not (start or pinned or names or agent.greeting)
    transparent = plain and not target.relay_turns and target.dialect == caller
    settings = replace(Settings(model=route.name), **start, **pinned)
    convert = target.leg == "socket" and not transparent
    return Plan(
        session_id="sess_" + secrets.token_hex(12),
        settings=settings,
        pinned=frozenset(pinned),
        server_tools=shelf.tools_of(names) if shelf is not None and names else (),
        show_tools=agent.show_tools,
        tool_deadlines_s=shelf.deadlines_of(names) if shelf is not None and names else {},
        model_input=_own_rate(settings.input_format) if convert else target.input_format,
        model_output=_own_rate(settings.output_format) if convert else target.output_format,
        relay_turns=target.relay_turns,
        judged=judged,
        composed=target.leg == "cascade",
        transparent=transparent,
        waits_for_settings=caller == GatewayCaller.name,
        model_voices=target.voices,
        greeting=agent.greeting,
        expires_at=int(now + max_s),
        max_session_s=max_s,
        idle_limit_s=agent.limits.idle_limit_s,
    )


def _own_rate(start: AudioFormat) -> AudioFormat | None:
    """What a remote model takes and gives when the caller starts with `start`: it knows pcm16 at 24 kHz only
    (openai-realtime.md 5) and the caller may choose any rate, so that one is fixed; None: the caller's, untouched."""
    return PCM24 if start.encoding == "pcm16" else None


def settings_of(agent: AgentSettings) -> dict[str, Any]:
    """What an agent fixes: names of `Settings` fields to their values."""
    fixed: dict[str, Any] = {}
    for name in ("instructions", "voice", "speed"):
        if (value := getattr(agent, name)) is not None:
            fixed[name] = value
    if agent.language is not None:
        fixed["transcription"] = Transcription(language=agent.language)
    if agent.turn_detection is not None:
        fixed["turn_detection"] = _turns(agent.turn_detection)
    return fixed


def session_changes(session: Mapping[str, Any]) -> dict[str, Any]:
    """Settings written in the words of one of our doors, as changes of `Settings`; what cannot be read is left out.

    An OpenAI session always has a `type` (openai-realtime.md 2.1), a normalized one never has (ai-gateway.md 7.1).
    """
    if not session:
        return {}
    if "type" in session:
        events = OpenAICaller().decode(orjson.dumps({"type": "session.update", "session": session}))
    else:
        events = GatewayCaller().decode(orjson.dumps({"type": "session-update", "config": session}))
    changes: dict[str, Any] = {}
    for event in events:
        if isinstance(event, SettingsRequested):
            changes.update(event.changes)
    return changes


def describe_session(session: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The whole session that a secret of the OpenAI door will start with (openai-realtime.md 2.1, 3.9).

    Raises:
        CallerError: it cannot be; with the words that `session.update` would be answered with.
    """
    dialect = OpenAICaller()
    settings = Settings(model=model)
    wished = {"type": "realtime", **session}
    for event in dialect.decode(orjson.dumps({"type": "session.update", "session": wished})):
        if isinstance(event, Rejected):
            raise CallerError(event.fault.message, code=event.fault.code, param=event.fault.param)
        if isinstance(event, SettingsRequested):
            settings = replace(settings, **{**event.changes, "model": model})
    (frame,) = dialect.encode(SessionOpened("", settings))
    described: dict[str, Any] = orjson.loads(frame)["session"]
    return described


def _turns(turns: TurnSettings) -> TurnDetection | None:
    if turns.type == "none":
        return None
    return TurnDetection(**turns.model_dump())
