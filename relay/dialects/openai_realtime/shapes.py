"""The session: protocol objects to nouns and back (sections 3, 5 and 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from relay import limits
from relay.dialects.openai_realtime.wire import (
    Invalid,
    Table,
    choice,
    flag,
    ident,
    integer,
    known_members,
    listing,
    mapping,
    members,
    missing,
    nullable,
    number,
    record,
    text,
    wrong,
)
from relay.nouns import (
    ALAW8K,
    MULAW8K,
    PCM24,
    SUPPORTED_RATES_HZ,
    AudioFormat,
    Fault,
    Settings,
    Tool,
    Transcription,
    TurnDetection,
)

# --- audio formats ------------------------------------------------------------------------------------------

_G711: Final = {"audio/pcmu": MULAW8K, "audio/pcma": ALAW8K}


def read_format(value: Any, path: str) -> AudioFormat:
    """`format` of one direction (section 5), and our other rates."""
    read = members(value, path, {"type": choice("audio/pcm", *_G711), "rate": integer(1)}, ("type",))
    if read["type"] in _G711:
        members(value, path, {"type": text})
        return _G711[read["type"]]
    rate_hz = read.get("rate", PCM24.rate_hz)
    if rate_hz not in SUPPORTED_RATES_HZ:
        raise wrong(f"{path}.rate", "supported values are " + ", ".join(map(str, SUPPORTED_RATES_HZ)))
    return AudioFormat("pcm16", rate_hz)


def format_object(audio: AudioFormat) -> dict[str, Any]:
    """`format` of one direction."""
    if audio.encoding == "pcm16":
        return {"type": "audio/pcm", "rate": audio.rate_hz}
    return {"type": "audio/pcmu" if audio.encoding == "mulaw" else "audio/pcma"}


# --- turn detection and transcription -----------------------------------------------------------------------

_EITHER_VAD: Final[Table] = {"type": text, "create_response": nullable(flag), "interrupt_response": nullable(flag)}
_SERVER_VAD: Final[Table] = {
    **_EITHER_VAD,
    "threshold": nullable(number(0.0, 1.0)),
    "prefix_padding_ms": nullable(integer(0, limits.MAX_PREFIX_PADDING_MS)),
    "silence_duration_ms": nullable(integer(0, int(limits.MAX_TURN_S * 1000))),
    "idle_timeout_ms": nullable(integer(5_000, 30_000)),
}
_SEMANTIC_VAD: Final[Table] = {**_EITHER_VAD, "eagerness": nullable(choice("low", "medium", "high", "auto"))}


def _turn_detection(value: Any, path: str) -> TurnDetection | None:
    """Members that are absent or null take their defaults; they are not merged with what was set before."""
    if value is None:
        return None
    if not isinstance(value, dict):
        raise wrong(path, "expected an object or null")
    if "type" not in value:
        raise missing(f"{path}.type")
    kind = choice("server_vad", "semantic_vad")(value["type"], f"{path}.type")
    read = members(value, path, _SERVER_VAD if kind == "server_vad" else _SEMANTIC_VAD)
    return TurnDetection(**{name: member for name, member in read.items() if member is not None})


def _turn_detection_object(turn: TurnDetection | None) -> dict[str, Any] | None:
    if turn is None:
        return None
    either = {"create_response": turn.create_response, "interrupt_response": turn.interrupt_response}
    if turn.type == "semantic_vad":
        return {"type": turn.type, "eagerness": turn.eagerness, **either}
    return {
        "type": turn.type,
        "threshold": turn.threshold,
        "prefix_padding_ms": turn.prefix_padding_ms,
        "silence_duration_ms": turn.silence_duration_ms,
        "idle_timeout_ms": turn.idle_timeout_ms,
        **either,
    }


_TRANSCRIPTION: Final[Table] = {
    "model": nullable(text),
    "language": nullable(text),
    "prompt": nullable(text),
    "languages": listing(text),
    "keywords": listing(text),
    "delay": choice("minimal", "low", "medium", "high", "xhigh"),
}


def _transcription(value: Any, path: str) -> Transcription | None:
    if value is None:
        return None
    read = members(value, path, _TRANSCRIPTION)
    known = {name: read.pop(name, None) for name in ("model", "language", "prompt")}
    return Transcription(**known, extra=read)


def _transcription_object(asked: Transcription | None) -> dict[str, Any] | None:
    if asked is None:
        return None
    known = {"model": asked.model, "language": asked.language, "prompt": asked.prompt}
    return {**{name: member for name, member in known.items() if member is not None}, **asked.extra}


# --- tools --------------------------------------------------------------------------------------------------

_FUNCTION: Final[Table] = {"type": text, "name": ident, "description": nullable(text), "parameters": nullable(mapping)}
_SECRET_OF_MCP: Final = ("authorization", "headers")


def _tools(value: Any, path: str) -> tuple[tuple[Tool, ...], list[dict[str, Any]]]:
    """Function tools, and those that OpenAI itself runs (`mcp`), which are carried as they are."""
    functions, hosted = [], []
    for index, tool in enumerate(listing(mapping)(value, path)):
        where = f"{path}[{index}]"
        if "type" not in tool:
            raise missing(f"{where}.type")
        if choice("function", "mcp")(tool["type"], f"{where}.type") == "mcp":
            if "server_label" not in tool:
                raise missing(f"{where}.server_label")
            hosted.append(tool)
            continue
        read = members(tool, where, _FUNCTION, ("name",))
        made = Tool(read["name"], read.get("description") or "")
        parameters = read.get("parameters")
        functions.append(made if parameters is None else replace(made, parameters=parameters))
    return tuple(functions), hosted


def tool_objects(tools: Iterable[Tool]) -> list[dict[str, Any]]:
    """Function tools as the protocol has them."""
    return [
        {"type": "function", "name": tool.name, "description": tool.description, "parameters": dict(tool.parameters)}
        for tool in tools
    ]


_TOOL_CHOICES: Final = {
    "function": record({"type": text, "name": ident}, ("name",)),
    "mcp": record({"type": text, "server_label": ident, "name": nullable(text)}, ("server_label",)),
}


def _tool_choice(value: Any, path: str) -> str | dict[str, Any]:
    if isinstance(value, str):
        return str(choice("none", "auto", "required")(value, path))
    kind = choice(*_TOOL_CHOICES)(mapping(value, path).get("type"), f"{path}.type")
    return dict(_TOOL_CHOICES[kind](value, path))


# --- the session --------------------------------------------------------------------------------------------


def _modality(value: Any, path: str) -> str:
    if value not in (["audio"], ["text"]):
        raise wrong(path, "supported values are ['audio'] and ['text']")
    return str(value[0])


def _max_output_tokens(value: Any, path: str) -> int | None:
    return None if value == "inf" else int(integer(1, 4096)(value, path))


def read_voice(value: Any, path: str) -> str:
    """A voice by name; a voice of one's own is `{id: "voice_…"}` on the wire and its bare id here."""
    if isinstance(value, dict):
        return str(members(value, path, {"id": ident}, ("id",))["id"])
    return str(ident(value, path))


def voice_object(voice: str | None) -> Any:
    """`voice` of a session."""
    return {"id": voice} if voice and voice.startswith("voice_") else voice


def _scalar_or_object(*allowed: str) -> Any:
    return lambda value, path: choice(*allowed)(value, path) if isinstance(value, str) else mapping(value, path)


CARRIED: Final[Table] = {
    "include": nullable(listing(choice("item.input_audio_transcription.logprobs"))),
    "parallel_tool_calls": nullable(flag),
    "reasoning": nullable(record({"effort": nullable(choice("minimal", "low", "medium", "high", "xhigh"))})),
    "truncation": nullable(_scalar_or_object("auto", "disabled")),
    "tracing": nullable(_scalar_or_object("auto")),
    "prompt": nullable(record({"id": ident, "version": nullable(text), "variables": nullable(mapping)}, ("id",))),
}
"""Members that we carry in `Settings.extra` without understanding them."""

EITHER: Final[Table] = {
    "output_modalities": _modality,
    "instructions": text,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "max_output_tokens": _max_output_tokens,
}
_SESSION: Final[Table] = {"type": text, "model": ident, "audio": mapping, **EITHER, **CARRIED}
_AUDIO: Final[Table] = {"input": mapping, "output": mapping}
_INPUT: Final[Table] = {
    "format": read_format,
    "transcription": _transcription,
    "turn_detection": _turn_detection,
    "noise_reduction": nullable(
        record({"type": choice("near_field", "far_field"), "strength": number(0.0, 1.0)}, ("type",))
    ),
}
_OUTPUT: Final[Table] = {"format": read_format, "voice": read_voice, "speed": number(0.25, 1.5)}

_FIELDS: Final = {"output_modalities": "modality"}
"""Names that differ between the wire and `Settings`."""

BETA_MEMBERS: Final = frozenset({
    "input_audio_format",
    "input_audio_noise_reduction",
    "input_audio_transcription",
    "max_response_output_tokens",
    "modalities",
    "output_audio_format",
    "speed",
    "temperature",
    "turn_detection",
    "voice",
})  # fmt: skip
"""Members of the flat session of the beta, which had no `type` (section 15)."""


def beta(param: str | None = None) -> Invalid:
    """The shape of the protocol before general availability; production ends such sessions."""
    return Invalid(
        "beta_api_shape_disabled", "The beta shape of the Realtime API is not supported; use the GA shape.", param
    )


def settings_changes(session: Any) -> tuple[dict[str, Any], Fault | None]:
    """What a session object of `session.update` or of a mint request asks for.

    Args:
        session: the object, as the client sent it.

    Returns:
        Names of `Settings` fields that were present to their new values, and None; or nothing and what is wrong.
        `changes["extra"]` holds only the members that were present, null where they are to be cleared: it is merged
        into `Settings.extra` name by name. Every other value replaces its field.
    """
    try:
        return read_changes(session), None
    except Invalid as problem:
        return {}, problem.fault()


def read_changes(session: Any) -> dict[str, Any]:
    """As `settings_changes`, but raises `Invalid`."""
    if not isinstance(session, dict):
        raise wrong("session", "expected an object")
    if "type" not in session:
        raise beta("session") if BETA_MEMBERS & session.keys() else missing("session.type")
    if session["type"] == "transcription":
        raise wrong("session.type", "this endpoint serves sessions of type 'realtime' only")
    choice("realtime")(session["type"], "session.type")
    read = members(session, "session", _SESSION)
    audio = members(read.pop("audio", {}), "session.audio", _AUDIO)
    source = members(audio.get("input", {}), "session.audio.input", _INPUT)
    target = members(audio.get("output", {}), "session.audio.output", _OUTPUT)
    return _by_field(read, source, target)


def settings_seen(session: Any) -> Settings:
    """The effective settings that a model reports, as far as they can be read. Never raises."""
    read = known_members(session, _SESSION)
    audio = read.pop("audio", {})
    source, target = known_members(audio.get("input"), _INPUT), known_members(audio.get("output"), _OUTPUT)
    fields = _by_field(read, source, target)
    fields["extra"] = {name: member for name, member in fields.get("extra", {}).items() if member is not None}
    return Settings(**fields)


def _by_field(read: dict[str, Any], source: dict[str, Any], target: dict[str, Any]) -> dict[str, Any]:
    read.pop("type", None)
    extra = {name: read.pop(name) for name in CARRIED if name in read}
    if "noise_reduction" in source:
        extra["noise_reduction"] = source.pop("noise_reduction")
    changes = {_FIELDS.get(name, name): value for name, value in read.items()}
    if "tools" in changes:
        changes["tools"], hosted = changes["tools"]
        if hosted:
            extra["tools"] = hosted
    for direction, asked in (("input_format", source), ("output_format", target)):
        if "format" in asked:
            changes[direction] = asked.pop("format")
    changes.update(source)
    changes.update(target)
    if extra:
        changes["extra"] = extra
    return changes


def session_object(settings: Settings, session_id: str, expires_at: int) -> dict[str, Any]:
    """The whole effective session, as `session.created`, `session.updated` and the mint door show it (section 3.9).

    Args:
        settings: what is in force.
        session_id: `sess_…`.
        expires_at: Unix seconds at which it will end; 0 when none is set.
    """
    extra = dict(settings.extra)
    hosted = [
        {name: member for name, member in tool.items() if name not in _SECRET_OF_MCP}
        for tool in extra.pop("tools", None) or ()
    ]
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": settings.model,
        "output_modalities": [settings.modality],
        "instructions": settings.instructions,
        "tools": [*tool_objects(settings.tools), *hosted],
        "tool_choice": tool_choice_object(settings.tool_choice),
        "max_output_tokens": settings.max_output_tokens or "inf",
        "tracing": extra.pop("tracing", None),
        "truncation": extra.pop("truncation", None) or "auto",
        "prompt": extra.pop("prompt", None),
        "expires_at": expires_at,
        "audio": {
            "input": {
                "format": format_object(settings.input_format),
                "transcription": _transcription_object(settings.transcription),
                "noise_reduction": extra.pop("noise_reduction", None),
                "turn_detection": _turn_detection_object(settings.turn_detection),
            },
            "output": {
                "format": format_object(settings.output_format),
                "voice": voice_object(settings.voice),
                "speed": settings.speed,
            },
        },
        "include": extra.pop("include", None),
        **{name: member for name, member in extra.items() if name in CARRIED and member is not None},
    }


def session_wish(changes: Mapping[str, Any]) -> dict[str, Any]:
    """The session object of our own `session.update`: what `changes` names, and only formats that OpenAI has.

    The model is not named: it is fixed by the address of the socket.
    """
    extra = dict(changes.get("extra") or {})
    hosted = extra.pop("tools", None)
    session: dict[str, Any] = {"type": "realtime"}
    audio: dict[str, dict[str, Any]] = {"input": {}, "output": {}}
    if "noise_reduction" in extra:
        audio["input"]["noise_reduction"] = extra.pop("noise_reduction")
    session.update({name: member for name, member in extra.items() if name in CARRIED})
    for field, (direction, name, shown) in _WISHES.items():
        if field in changes:
            (audio[direction] if direction else session)[name] = shown(changes[field])
    if "tools" in session:
        session["tools"] += hosted or []
    if audio["output"].get("voice", "") is None:
        del audio["output"]["voice"]  # there is no word for "your own default"
    audio = {direction: asked for direction, asked in audio.items() if asked}
    return {**session, **({"audio": audio} if audio else {})}


def _openai_format(audio: AudioFormat) -> dict[str, Any]:
    """Section 5: no other rate may be declared; whoever dials has resampled to this one."""
    return format_object(PCM24 if audio.encoding == "pcm16" else audio)


def tool_choice_object(tool_choice: str | Mapping[str, Any]) -> str | dict[str, Any]:
    """`tool_choice`, as JSON can have it."""
    return tool_choice if isinstance(tool_choice, str) else dict(tool_choice)


def _as_it_is(value: Any) -> Any:
    return value


_WISHES: Final[Mapping[str, tuple[str, str, Callable[[Any], Any]]]] = {
    "modality": ("", "output_modalities", lambda modality: [modality]),
    "instructions": ("", "instructions", _as_it_is),
    "tools": ("", "tools", tool_objects),
    "tool_choice": ("", "tool_choice", tool_choice_object),
    "max_output_tokens": ("", "max_output_tokens", lambda bound: bound or "inf"),
    "input_format": ("input", "format", _openai_format),
    "transcription": ("input", "transcription", _transcription_object),
    "turn_detection": ("input", "turn_detection", _turn_detection_object),
    "output_format": ("output", "format", _openai_format),
    "voice": ("output", "voice", voice_object),
    "speed": ("output", "speed", _as_it_is),
}
"""Field of `Settings` to: the direction of audio it belongs to, its name on the wire, how it is written there."""
