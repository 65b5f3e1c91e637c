"""From the name of a model to where it is; and the catalogue of names.

`<provider>/<model>` everywhere; a bare id means `openai/<id>`; `agent/<name>` is one of ours; `local/agent` is
composed here and needs no key and no network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from relay.config import AgentSettings, Config
from relay.errors import UnknownModel
from relay.nouns import AudioFormat
from relay.providers import openai_compatible
from relay.providers.base import Offer, Target
from relay.providers.local import espeak

LOCAL_MODEL = "local/agent"
LOCAL_PARTS = {"listen": "local/sphinx", "think": "local/assistant", "speak": "local/espeak"}
LOCAL_INPUT = AudioFormat("pcm16", 16_000)
LOCAL_OUTPUT = AudioFormat("pcm16", 22_050)

_MODEL_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,64}/[A-Za-z0-9_.:/-]{1,128}")


@dataclass(frozen=True, slots=True)
class Route:
    """Where a name leads."""

    name: str
    """As the caller may know it: the agent's name, or the model's."""
    target: Target
    agent_name: str | None = None
    agent: AgentSettings | None = None


def qualified(name: str) -> str:
    """The full form of a model name: a bare id belongs to openai."""
    return name if "/" in name else f"openai/{name}"


def resolve(config: Config, name: str, environ: Mapping[str, str] | None = None) -> Route:
    """Find a realtime model or agent.

    Raises:
        UnknownModel: nothing has this name.
        ModelError: it exists, but its provider lacks a key.
    """
    full = qualified(name)
    if not _MODEL_NAME.fullmatch(full):
        raise UnknownModel("There is no model of this name.", param=name[:200])
    provider, _, model = full.partition("/")
    if provider != "agent":
        return Route(full, _target(config, full, environ))
    agent = config.agents.get(model)
    if agent is None:
        raise UnknownModel(f"There is no agent {model!r}.", param=full)
    return Route(full, _agent_target(config, model, agent, environ), model, agent)


def catalogue(config: Config) -> list[Offer]:
    """Every name that can be asked for, agents first."""
    agents = [Offer(f"agent/{name}", "realtime", name, "An agent of this relay.", "agent") for name in config.agents]
    return [
        *agents,
        Offer(LOCAL_MODEL, "realtime", "Local agent", "Listens, thinks and speaks on this machine.", "local"),
        Offer(LOCAL_PARTS["listen"], "transcription", "Local Sphinx", "PocketSphinx, English.", "local"),
        Offer(LOCAL_PARTS["speak"], "speech", "Local eSpeak", "eSpeak NG.", "local"),
    ]


def _agent_target(
    config: Config, name: str, agent: AgentSettings, environ: Mapping[str, str] | None
) -> Target:
    parts = {"listen": agent.listen, "think": agent.think, "speak": agent.speak}
    if any(parts.values()):
        for role, part in parts.items():
            if part != LOCAL_PARTS[role]:
                raise UnknownModel(f"Agent {name!r} cannot {role} with {part!r}; there is {LOCAL_PARTS[role]!r}.",
                                   param=f"agent/{name}")
        return _target(config, LOCAL_MODEL, environ)
    model = qualified(agent.model or LOCAL_MODEL)
    if model.startswith("agent/"):
        raise UnknownModel(f"Agent {name!r} names another agent as its model.", param=f"agent/{name}")
    return _target(config, model, environ)


def _target(config: Config, full: str, environ: Mapping[str, str] | None) -> Target:
    provider, _, model = full.partition("/")
    if full == LOCAL_MODEL:
        return Target(
            model=full, leg="cascade", input_format=LOCAL_INPUT, output_format=LOCAL_OUTPUT, voices=espeak.VOICES
        )
    if provider in config.providers:
        return openai_compatible.target(provider, model, config.providers[provider], environ)
    raise UnknownModel(f"There is no model {full!r}.", param=full)
