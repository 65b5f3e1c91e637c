"""`config` of a `session-update` -> changes of `Settings`.

Shape: `@ai-sdk/provider` 4.0.38 `realtime-model-v4-session-config.ts`. A frame is a partial update: what is absent
stays. `null` is not the same as absent and is only allowed for `turnDetection`, where it means push to talk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from relay import limits
from relay.dialects.ai_gateway.fields import Wrong, choice, flag, number, table, text
from relay.events import Warned
from relay.nouns import (
    ALAW8K,
    MULAW8K,
    PCM24,
    SUPPORTED_RATES_HZ,
    AudioFormat,
    Settings,
    Tool,
    Transcription,
    TurnDetection,
)

_PROVIDERS = frozenset({"openai", "xai", "spacexai", "google"})
"""Names under which `providerOptions` may group a provider's own members; the SDK's mappers take them flat."""

_ELSEWHERE = frozenset({"type", "model", "instructions", "voice", "audio", "tools", "output_modalities", "modalities"})
"""Members of a provider's session that have a normalized counterpart, which is the one that counts."""

_IGNORED_SHOWN = 8
"""Names that one warning lists."""


def read_config(config: dict[str, Any], current: Settings) -> tuple[dict[str, Any], list[Warned]]:
    """Changes by field name of `Settings`, and a warning that names what was not understood.

    Raises:
        Wrong: a member has the wrong type or value.
    """
    changes: dict[str, Any] = {}
    ignored: list[str] = []
    for name in config:
        path = "config."
        if name in ("instructions", "voice"):
            changes[name] = text(config, name, path)
        elif name == "outputModalities":
            changes["modality"] = modality(config, name, path)
        elif name == "inputAudioFormat":
            changes["input_format"] = _format(table(config, name, path), path + name)
        elif name == "outputAudioFormat":
            changes["output_format"] = _format(table(config, name, path), path + name)
        elif name == "inputAudioTranscription":
            changes["transcription"] = _transcription(table(config, name, path), f"{path}{name}.")
        elif name == "outputAudioTranscription":
            table(config, name, path)  # spoken answers always come with their words
        elif name == "turnDetection":
            changes["turn_detection"] = _turn_detection(config[name], current)
        elif name == "tools":
            changes["tools"] = _tools(config[name])
        elif name == "providerOptions":
            pass  # read last: it may refine turnDetection
        else:
            ignored.append(name)
    if "providerOptions" in config:
        ignored += _provider_options(table(config, "providerOptions", "config."), changes, current)
    return changes, _named(ignored)


def _named(ignored: list[str]) -> list[Warned]:
    if not ignored:
        return []
    shown = ", ".join(name[:64] for name in ignored[:_IGNORED_SHOWN])
    return [Warned("setting_ignored", f"These settings have no effect here: {shown}.", f"config.{ignored[0][:64]}")]


def modality(members: Mapping[str, Any], name: str, path: str) -> str:
    """What answers are made of: audio always comes with its words, so text alone is the other choice."""
    wanted = members.get(name)
    if not isinstance(wanted, list) or not wanted or not all(one in ("text", "audio") for one in wanted):
        raise Wrong(f"{path}{name} must list text, audio or both.", path + name)
    return "audio" if "audio" in wanted else "text"


def _format(value: dict[str, Any], path: str) -> AudioFormat:
    kind = choice(value, "type", ("audio/pcm", "audio/pcmu", "audio/pcma"), path + ".")
    rate_hz = value.get("rate", PCM24.rate_hz if kind == "audio/pcm" else MULAW8K.rate_hz)
    allowed = SUPPORTED_RATES_HZ if kind == "audio/pcm" else (MULAW8K.rate_hz,)
    if isinstance(rate_hz, bool) or rate_hz not in allowed:
        raise Wrong(f"{path}.rate of {kind} must be one of {', '.join(map(str, allowed))}.", path + ".rate")
    if kind == "audio/pcm":
        return AudioFormat("pcm16", int(rate_hz))
    return MULAW8K if kind == "audio/pcmu" else ALAW8K


def _transcription(value: dict[str, Any], path: str) -> Transcription:
    given: dict[str, Any] = {name: text(value, name, path) for name in ("model", "language", "prompt") if name in value}
    return Transcription(**given)


def _turn_detection(value: Any, current: Settings) -> TurnDetection | None:
    path = "config.turnDetection"
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Wrong(f"{path} must be an object or null.", path)
    path += "."
    kind = choice(value, "type", ("server-vad", "semantic-vad", "disabled"), path)
    if kind == "disabled":
        return None
    given: dict[str, Any] = {"type": "server_vad" if kind == "server-vad" else "semantic_vad"}
    if "threshold" in value:
        given["threshold"] = float(number(value, "threshold", 0, 1, path))
    if "silenceDurationMs" in value:
        given["silence_duration_ms"] = int(number(value, "silenceDurationMs", 0, limits.MAX_TURN_S * 1000, path))
    if "prefixPaddingMs" in value:
        given["prefix_padding_ms"] = int(number(value, "prefixPaddingMs", 0, limits.MAX_PREFIX_PADDING_MS, path))
    return replace(current.turn_detection or TurnDetection(), **given)


def _tools(value: Any) -> tuple[Tool, ...]:
    if not isinstance(value, list):
        raise Wrong("config.tools must be a list.", "config.tools")
    tools = []
    for index, tool in enumerate(value):
        path = f"config.tools.{index}."
        if not isinstance(tool, dict):
            raise Wrong(f"{path[:-1]} must be an object.", path[:-1])
        choice(tool, "type", ("function",), path)
        if not text(tool, "name", path):
            raise Wrong(f"{path}name must not be empty.", path + "name")
        given: dict[str, Any] = {"name": tool["name"]}
        if "description" in tool:
            given["description"] = text(tool, "description", path)
        if "parameters" in tool:
            given["parameters"] = table(tool, "parameters", path)
        tools.append(Tool(**given))
    return tuple(tools)


def _provider_options(options: dict[str, Any], changes: dict[str, Any], current: Settings) -> list[str]:
    """Lay `providerOptions` over the changes; gives the names that have no effect. `gateway` is for the gateway
    alone and must never reach a provider."""
    ignored: list[str] = []
    extra: dict[str, Any] = {}
    for name, value in options.items():
        if name == "gateway":
            continue
        if name == "relay":
            ignored += _relay_options(table(options, name, "config.providerOptions."), changes, current)
        elif name in _PROVIDERS:
            extra.update(table(options, name, "config.providerOptions."))
        else:
            extra[name] = value
    ignored += [f"providerOptions.{name}" for name in extra if name in _ELSEWHERE]
    extra = {name: value for name, value in extra.items() if name not in _ELSEWHERE}
    if "tool_choice" in extra:
        changes["tool_choice"] = _tool_choice(extra, "tool_choice", "config.providerOptions.")
    if "max_output_tokens" in extra:
        changes["max_output_tokens"] = _token_limit(extra, "max_output_tokens", "config.providerOptions.")
    extra = {name: value for name, value in extra.items() if name not in ("tool_choice", "max_output_tokens")}
    if extra:
        changes["extra"] = {**current.extra, **extra}
    return ignored


def _relay_options(options: dict[str, Any], changes: dict[str, Any], current: Settings) -> list[str]:
    """`providerOptions.relay`: what the normalized configuration has no member for."""
    path = "config.providerOptions.relay."
    ignored: list[str] = []
    turns: dict[str, Any] = {}
    for name in options:
        if name == "interruptResponse":
            turns["interrupt_response"] = flag(options, name, path)
        elif name == "createResponse":
            turns["create_response"] = flag(options, name, path)
        elif name == "idleTimeoutMs":
            wanted = options[name]
            turns["idle_timeout_ms"] = None if wanted is None else int(number(options, name, 5_000, 30_000, path))
        elif name == "eagerness":
            turns["eagerness"] = choice(options, name, ("low", "medium", "high", "auto"), path)
        elif name == "speed":
            changes["speed"] = float(number(options, name, 0.25, 1.5, path))
        elif name == "toolChoice":
            changes["tool_choice"] = _tool_choice(options, name, path)
        elif name == "maxOutputTokens":
            changes["max_output_tokens"] = _token_limit(options, name, path)
        else:
            ignored.append(f"providerOptions.relay.{name}")
    detection = changes.get("turn_detection", current.turn_detection)
    if turns and detection is not None:
        changes["turn_detection"] = replace(detection, **turns)
    return ignored


def _tool_choice(members: dict[str, Any], name: str, path: str) -> str | dict[str, Any]:
    wanted = members[name]
    if wanted in ("auto", "none", "required") or isinstance(wanted, dict):
        return wanted  # type: ignore[no-any-return]
    raise Wrong(f"{path}{name} must be auto, none, required or an object that names a function.", path + name)


def _token_limit(members: dict[str, Any], name: str, path: str) -> int | None:
    if members[name] in (None, "inf"):
        return None
    return int(number(members, name, 1, 1_000_000, path))
