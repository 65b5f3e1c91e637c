"""Names of models: where each leads, and what the catalogue shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay import config as configuration
from relay.config import Config
from relay.errors import ModelError, UnknownModel
from relay.routing import LOCAL_INPUT, LOCAL_OUTPUT, catalogue, qualified, resolve

CONFIG = """
[providers.acme]
base_url = "https://acme.example/v1/"
api_key_env = "ACME_KEY"
turn_detection_owner = "relay"
[providers.openai]
base_url = "http://127.0.0.1:9/v1"
[agents.desk]
model = "acme/voice-1"
[agents.plain]
instructions = "x"
[agents.parts]
listen = "local/sphinx"
think = "local/assistant"
speak = "local/espeak"
[agents.foreign]
listen = "acme/ears"
think = "local/assistant"
speak = "local/espeak"
[agents.loop]
model = "agent/loop"
[agents.lost]
model = "nobody/nothing"
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "relay.toml"
    path.write_text(CONFIG)
    return configuration.load(path, {}, {})


KEYS = {"ACME_KEY": "canary-4711"}


@pytest.mark.parametrize(("name", "full"), [("gpt-x", "openai/gpt-x"), ("acme/x", "acme/x"), ("agent/a", "agent/a")])
def test_bare_id_belongs_to_openai(name: str, full: str) -> None:
    assert qualified(name) == full


def test_local_agent_is_composed_here(config: Config) -> None:
    route = resolve(config, "local/agent")
    assert route.agent is None
    assert (route.target.leg, route.target.relay_turns) == ("cascade", True)
    assert (route.target.input_format, route.target.output_format) == (LOCAL_INPUT, LOCAL_OUTPUT)


def test_provider_model_is_a_socket_below_the_base_url(config: Config) -> None:
    target = resolve(config, "acme/voice 1".replace(" ", "-"), KEYS).target
    assert target.url == "wss://acme.example/v1/realtime?model=voice-1"
    assert target.headers["Authorization"] == "Bearer canary-4711"
    assert (target.leg, target.dialect, target.relay_turns) == ("socket", "openai_realtime", True)


def test_bare_id_goes_to_the_configured_openai_without_a_key_of_ours(config: Config) -> None:
    target = resolve(config, "gpt-realtime-2").target
    assert target.url == "ws://127.0.0.1:9/v1/realtime?model=gpt-realtime-2"
    assert not target.headers
    assert not target.relay_turns


def test_key_is_in_no_repr(config: Config) -> None:
    route = resolve(config, "acme/voice-1", KEYS)
    assert "canary" not in repr(route)
    assert "canary" not in str(route.target.headers)


def test_missing_key_of_a_provider_is_the_models_fault(config: Config) -> None:
    with pytest.raises(ModelError, match="acme") as failed:
        resolve(config, "acme/voice-1", {})
    assert not failed.value.retryable


@pytest.mark.parametrize(("agent", "model"), [
    ("desk", "acme/voice-1"), ("plain", "local/agent"), ("parts", "local/agent")])
def test_agent_leads_to_its_model(config: Config, agent: str, model: str) -> None:
    route = resolve(config, f"agent/{agent}", KEYS)
    assert route.target.model == model
    assert (route.name, route.agent_name, route.agent) == (f"agent/{agent}", agent, config.agents[agent])


@pytest.mark.parametrize("name", [
    "local/nothing", "nobody/x", "agent/nobody", "agent/foreign", "agent/loop", "agent/lost", "", "/", "local/",
    "local/agent\n", "local/agent?x", "a/" + "x" * 1_000, "local/../agent", "x" * 100_000])
def test_name_that_leads_nowhere_is_an_unknown_model(config: Config, name: str) -> None:
    with pytest.raises(UnknownModel):
        resolve(config, name, KEYS)


def test_catalogue_names_agents_and_local_models(config: Config) -> None:
    offers = {offer.id: offer.kind for offer in catalogue(config)}
    assert offers["agent/desk"] == "realtime"
    assert offers["local/agent"] == "realtime"
    assert offers["local/sphinx"] == "transcription"
