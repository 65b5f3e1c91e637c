"""Responses: what one may differ in from its session, and how it is shown (sections 7.3 and 9.6)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, cast

from relay.dialects.openai_realtime.items import item_object, item_wish, items_from, usage_object
from relay.dialects.openai_realtime.shapes import (
    CARRIED,
    EITHER,
    format_object,
    read_format,
    read_voice,
    tool_choice_object,
    tool_objects,
    voice_object,
)
from relay.dialects.openai_realtime.wire import (
    Table,
    choice,
    known_members,
    mapping,
    members,
    nullable,
    record,
    wrong,
)
from relay.events import ResponseFinished, ResponseStarted
from relay.nouns import AudioFormat, Item, ResponseOptions, Settings


def _metadata(value: Any, path: str) -> dict[str, str]:
    pairs = mapping(value, path)
    if len(pairs) > 16:
        raise wrong(path, "at most 16 pairs")
    for name, member in pairs.items():
        if len(name) > 64 or not isinstance(member, str) or len(member) > 512:
            raise wrong(path, "keys are at most 64 and values strings of at most 512 characters")
    return pairs


_CARRIED_HERE: Final[tuple[str, ...]] = ("parallel_tool_calls", "reasoning", "prompt")
_RESPONSE: Final[Table] = {
    **EITHER,
    **{name: CARRIED[name] for name in _CARRIED_HERE},
    "audio": record({"output": record({"format": read_format, "voice": read_voice})}),
    "conversation": choice("auto", "none"),
    "input": items_from,
    "metadata": nullable(_metadata),
}


def options_from(response: Any, path: str, formats: Collection[AudioFormat]) -> ResponseOptions:
    """What `response` of `response.create` asks for.

    Args:
        response: as the client sent it; None is as if it were empty.
        path: where it stood, for the error.
        formats: that the session has or is about to have. A response cannot have another: what the caller hears is
            accounted for in the session's.

    Raises:
        Invalid: something that a response cannot differ in.
    """
    read = {} if response is None else members(response, path, _RESPONSE)
    output = read.get("audio", {}).get("output", {})
    if "format" in output and output["format"] not in formats:
        raise wrong(f"{path}.audio.output.format", "it is the session's; change it with session.update")
    tools, hosted = read.get("tools", (None, []))
    extra = {name: read[name] for name in _CARRIED_HERE if name in read}
    return ResponseOptions(
        modality=read.get("output_modalities"),
        instructions=read.get("instructions"),
        tools=tools,
        tool_choice=read.get("tool_choice"),
        voice=output.get("voice"),
        max_output_tokens=read.get("max_output_tokens"),
        metadata=read.get("metadata"),
        out_of_band=read.get("conversation") == "none",
        input=read.get("input"),
        extra={**extra, "tools": hosted} if hosted else extra,
    )


def options_wish(options: ResponseOptions) -> dict[str, Any]:
    """`response` of our own `response.create`: what is asked for, and nothing else."""
    extra = dict(options.extra)
    hosted = extra.pop("tools", None)
    asked: dict[str, Any] = {
        "output_modalities": [options.modality] if options.modality else None,
        "instructions": options.instructions,
        "tools": None if options.tools is None else [*tool_objects(options.tools), *(hosted or ())],
        "tool_choice": None if options.tool_choice is None else tool_choice_object(options.tool_choice),
        "audio": {"output": {"voice": voice_object(options.voice)}} if options.voice else None,
        "max_output_tokens": options.max_output_tokens,
        "metadata": None if options.metadata is None else dict(options.metadata),
        "conversation": "none" if options.out_of_band else None,
        "input": None if options.input is None else [_input_wish(item) for item in options.input],
        **{name: member for name, member in extra.items() if name in _CARRIED_HERE},
    }
    return {name: value for name, value in asked.items() if value is not None}


def _input_wish(item: Item) -> dict[str, Any]:
    return {"type": "item_reference", "id": item.id} if item.type == "item_reference" else item_wish(item)


def options_seen(response: Mapping[str, Any]) -> ResponseOptions:
    """The effective options that a model reports, as far as they can be read. Never raises."""
    read = known_members(response, _RESPONSE)
    return ResponseOptions(
        modality=cast(Literal["audio", "text"] | None, read.get("output_modalities")),
        voice=read.get("audio", {}).get("output", {}).get("voice"),
        max_output_tokens=read.get("max_output_tokens"),
        metadata=read.get("metadata"),
        out_of_band=response.get("conversation_id", "") is None,
    )


def response_object(event: ResponseStarted | ResponseFinished, settings: Settings) -> dict[str, Any]:
    """`response` of `response.created` and `response.done`, complete.

    Args:
        event: the beginning or the end.
        settings: of the session, for what the response did not ask to differ.
    """
    finished = event if isinstance(event, ResponseFinished) else None
    options = event.options
    return {
        "id": event.response_id,
        "object": "realtime.response",
        "status": finished.status if finished else "in_progress",
        "status_details": _status_details(finished) if finished else None,
        "output": [item_object(item) for item in finished.output] if finished else [],
        "conversation_id": event.conversation_id,
        "output_modalities": [options.modality or settings.modality],
        "max_output_tokens": options.max_output_tokens or settings.max_output_tokens or "inf",
        # Here a voice of one's own is its bare id: both SDKs refuse an object in this place.
        "audio": {
            "output": {"format": format_object(settings.output_format), "voice": options.voice or settings.voice}
        },
        "usage": usage_object(finished.usage) if finished and finished.usage else None,
        "metadata": None if options.metadata is None else dict(options.metadata),
    }


def _status_details(event: ResponseFinished) -> dict[str, Any] | None:
    if event.status == "completed":
        return None
    details: dict[str, Any] = {"type": event.status}
    if event.reason:
        details["reason"] = event.reason
    if event.fault:
        details["error"] = {"type": event.fault.type, "code": event.fault.code, "message": event.fault.message}
    return details
