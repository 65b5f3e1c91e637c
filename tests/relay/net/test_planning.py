"""From what was asked for and is allowed to the plan of a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from relay import limits
from relay.config import AgentSettings
from relay.core.plan import Plan
from relay.errors import CallerError
from relay.net.planning import describe_session, plan_of, session_changes, settings_of
from relay.nouns import MULAW8K, PCM24, Tool, TurnDetection
from relay.providers.base import Target
from relay.routing import LOCAL_INPUT, LOCAL_OUTPUT, Route

LOCAL = Target(model="local/agent", leg="cascade", input_format=LOCAL_INPUT, output_format=LOCAL_OUTPUT)
REMOTE = Target(model="acme/x", leg="socket", dialect="openai_realtime", relay_turns=False)


class Shelf:
    """One tool, with a deadline."""

    def tools_of(self, names: Sequence[str]) -> tuple[Tool, ...]:
        return tuple(Tool(name) for name in names)

    def deadlines_of(self, names: Sequence[str]) -> dict[str, float]:
        return dict.fromkeys(names, 3.0)


def plan(
    target: Target, agent: AgentSettings | None = None, session: Mapping[str, Any] | None = None,
    caller: str = "openai_realtime", max_s: float = limits.MAX_SESSION_S,
) -> Plan:
    return plan_of(Route("the/name", target, "a" if agent else None, agent), session or {}, max_s, caller=caller,
                   judged=True, shelf=Shelf(), now=1_000.0)


def test_plain_session_between_equal_dialects_is_transparent() -> None:
    made = plan(REMOTE)
    assert made.transparent
    assert (made.model_input, made.model_output, made.relay_turns, made.composed) == (None, None, False, False)


@pytest.mark.parametrize("made", [
    pytest.param(plan(LOCAL), id="a cascade"),
    pytest.param(plan(REMOTE, caller="ai_gateway"), id="another dialect"),
    pytest.param(plan(REMOTE, AgentSettings(instructions="x")), id="something pinned"),
    pytest.param(plan(REMOTE, AgentSettings(greeting="hi")), id="a greeting"),
    pytest.param(plan(REMOTE, AgentSettings(tools=("look",))), id="server tools"),
    pytest.param(plan(REMOTE, session={"type": "realtime", "instructions": "x"}), id="a token's session"),
])
def test_session_in_which_we_have_a_say_is_not_transparent(made: Plan) -> None:
    assert not made.transparent


def test_cascade_has_its_own_formats_and_turns() -> None:
    made = plan(LOCAL)
    assert (made.model_input, made.model_output) == (LOCAL_INPUT, LOCAL_OUTPUT)
    assert (made.relay_turns, made.composed) == (True, True)


@pytest.mark.parametrize("made", [
    pytest.param(plan(REMOTE, caller="ai_gateway"), id="another dialect"),
    pytest.param(plan(REMOTE, AgentSettings(instructions="x")), id="an agent"),
    pytest.param(plan(REMOTE, session={"type": "realtime", "instructions": "x"}), id="a token's session"),
    pytest.param(plan(replace(REMOTE, relay_turns=True)), id="turns of the relay"),
])
def test_remote_model_is_given_its_own_rate_because_the_caller_may_choose_another(made: Plan) -> None:
    assert (made.model_input, made.model_output) == (PCM24, PCM24)


def test_remote_model_takes_g711_as_it_comes_in_the_direction_that_starts_with_it() -> None:
    made = plan(REMOTE, session={"type": "realtime", "audio": {"input": {"format": {"type": "audio/pcmu"}}}})
    assert (made.model_input, made.model_output) == (None, PCM24)


def test_what_an_agent_sets_is_pinned_and_wins_over_the_token() -> None:
    made = plan(LOCAL, AgentSettings(instructions="agent's", voice="v"),
                {"type": "realtime", "instructions": "token's", "audio": {"input": {"format": {"type": "audio/pcmu"}}}})
    assert made.pinned == {"instructions", "voice"}
    assert (made.settings.instructions, made.settings.voice) == ("agent's", "v")
    assert made.settings.input_format == MULAW8K


def test_agent_without_turn_detection_setting_leaves_it_to_the_caller() -> None:
    assert "turn_detection" not in settings_of(AgentSettings())


def test_agent_may_fix_push_to_talk() -> None:
    fixed = settings_of(AgentSettings.model_validate({"turn_detection": {"type": "none"}}))
    assert fixed == {"turn_detection": None}


def test_agents_turn_detection_keeps_its_numbers() -> None:
    fixed = settings_of(AgentSettings.model_validate({"turn_detection": {"threshold": 0.7, "idle_timeout_ms": 6_000}}))
    assert fixed["turn_detection"] == TurnDetection(threshold=0.7, idle_timeout_ms=6_000)


def test_tools_of_an_agent_come_with_their_deadlines_and_stay_hidden() -> None:
    made = plan(LOCAL, AgentSettings(tools=("look",)))
    assert made.server_tools == (Tool("look"),)
    assert made.tool_deadlines_s == {"look": 3.0}
    assert not made.show_tools


def test_shorter_of_the_agents_and_the_tokens_maximum_counts() -> None:
    agent = AgentSettings.model_validate({"limits": {"max_session_s": 60, "idle_limit_s": 5}})
    assert plan(LOCAL, agent).max_session_s == 60
    made = plan(LOCAL, agent, max_s=30)
    assert (made.max_session_s, made.idle_limit_s, made.expires_at) == (30, 5, 1_030)


def test_only_ai_sdk_callers_open_with_their_settings() -> None:
    assert plan(LOCAL, caller="ai_gateway").waits_for_settings
    assert not plan(LOCAL).waits_for_settings


def test_sessions_have_ids_of_their_own() -> None:
    assert plan(LOCAL).session_id != plan(LOCAL).session_id
    assert plan(LOCAL).session_id.startswith("sess_")


def test_token_session_is_read_in_the_words_of_either_door() -> None:
    assert session_changes({"type": "realtime", "instructions": "x"})["instructions"] == "x"
    assert session_changes({"instructions": "x"})["instructions"] == "x"


@pytest.mark.parametrize("session", [{}, {"type": "transcription"}, {"type": "realtime", "voice": 7}, {"type": 1}])
def test_token_session_that_cannot_be_read_changes_nothing(session: dict[str, Any]) -> None:
    assert session_changes(session) == {}


def test_model_of_a_token_session_does_not_rename_the_agent() -> None:
    assert plan(LOCAL, session={"type": "realtime", "model": "gpt-x"}).settings.model == "the/name"


def test_session_of_a_secret_is_described_with_all_its_defaults() -> None:
    described = describe_session({"instructions": "x", "audio": {"output": {"voice": "v"}}}, "acme/y")
    assert (described["type"], described["model"], described["instructions"]) == ("realtime", "acme/y", "x")
    assert described["audio"]["output"]["voice"] == "v"
    assert described["audio"]["input"]["turn_detection"]["type"] == "server_vad"


@pytest.mark.parametrize("session", [{"type": "transcription"}, {"temperature": 1}, {"audio": {"input": 7}}])
def test_session_that_cannot_be_is_refused_when_its_secret_is_made(session: dict[str, Any]) -> None:
    with pytest.raises(CallerError) as refused:
        describe_session(session, "acme/y")
    assert refused.value.status == 400
