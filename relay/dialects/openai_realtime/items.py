"""Items, their parts and usage: protocol objects to nouns and back (sections 8 and 11)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any, Final, Literal, cast

from relay.dialects.openai_realtime.wire import (
    Invalid,
    Table,
    anything,
    audio_bytes,
    choice,
    ident,
    integer,
    known_members,
    listing,
    mapping,
    members,
    missing,
    nullable,
    text,
    wrong,
)
from relay.nouns import Item, Part, PartType, Usage

# --- parts --------------------------------------------------------------------------------------------------

_PARTS: Final[Mapping[str, tuple[Table, tuple[str, ...]]]] = {
    "input_text": ({"type": text, "text": text}, ("text",)),
    "input_audio": ({"type": text, "audio": audio_bytes, "transcript": nullable(text)}, ("audio",)),
    "input_image": ({"type": text, "image_url": text, "detail": choice("auto", "low", "high")}, ("image_url",)),
    "output_text": ({"type": text, "text": text}, ("text",)),
    # Spoken history cannot be put into the model's mouth: production asks for `text` instead (section 7.1).
    "output_audio": ({"type": text, "audio": anything, "transcript": nullable(text), "text": text}, ("text",)),
}
_PARTS_OF_ROLE: Final = {
    "user": ("input_text", "input_audio", "input_image"),
    "system": ("input_text",),
    "assistant": ("output_text", "output_audio"),
}


def _part_from(value: Any, path: str, role: str) -> Part:
    if not isinstance(value, dict):
        raise wrong(path, "expected an object")
    if "type" not in value:
        raise missing(f"{path}.type")
    kind = choice(*_PARTS_OF_ROLE[role])(value["type"], f"{path}.type")
    table, required = _PARTS[kind]
    read = members(value, path, table, required)
    if kind == "output_audio":
        return Part("output_text", read["text"])
    del read["type"]
    words = read.pop("transcript" if kind == "input_audio" else "text", None)
    return Part(cast(PartType, kind), words, read.pop("audio", None), read)


def _part_seen(value: Any) -> Part:
    """A part that the model reports; `content_part` events and older servers spell the types without `output_`."""
    part = value if isinstance(value, dict) else {}
    kind = known_members(part, {"type": text}).get("type", "")
    kind = {"text": "output_text", "audio": "output_audio"}.get(kind, kind if kind in _PARTS else "output_text")
    words = part.get("transcript" if kind.endswith("audio") else "text")
    try:
        audio = audio_bytes(part["audio"], "audio") if part.get("audio") else None
    except Invalid:
        audio = None
    extra = {name: part[name] for name in ("image_url", "detail") if name in part}
    return Part(cast(PartType, kind), words if isinstance(words, str) else None, audio, extra)


def part_object(part: Part, audio: bool = False) -> dict[str, Any]:
    """A part of an item. Its samples are left out unless `audio`, as everywhere but in `…retrieved` (section 8)."""
    if part.type == "input_image":
        return {"type": part.type, **part.extra}
    if part.type in ("input_text", "output_text"):
        return {"type": part.type, "text": part.text or ""}
    made: dict[str, Any] = {"type": part.type, "transcript": part.text}
    if audio and part.audio is not None:
        made["audio"] = base64.b64encode(part.audio).decode("ascii")
    return made


# --- items --------------------------------------------------------------------------------------------------

_STATUS: Final = choice("completed", "incomplete", "in_progress")
_COMMON: Final[Table] = {"id": ident, "type": text, "object": choice("realtime.item"), "status": _STATUS}
_MESSAGE: Final[Table] = {
    **_COMMON,
    "role": choice(*_PARTS_OF_ROLE),
    "content": anything,
}
_CALL: Final[Table] = {**_COMMON, "call_id": ident, "name": text, "arguments": text}
_OUTPUT: Final[Table] = {**_COMMON, "call_id": ident, "output": text}
_CARRIED: Final = ("mcp_list_tools", "mcp_call", "mcp_approval_request", "mcp_approval_response")
_KINDS: Final = ("message", "function_call", "function_call_output", *_CARRIED)


def item_from(value: Any, path: str = "item", references: bool = False) -> Item:
    """An item that a client wants to add.

    Args:
        value: what the client sent.
        path: where it stood, for the error.
        references: whether `{type: "item_reference", id}` is allowed, as in the input of a response.

    Raises:
        Invalid: not an item that may be added.
    """
    if not isinstance(value, dict):
        raise wrong(path, "expected an object")
    if "type" not in value:
        raise missing(f"{path}.type")
    kind = choice(*_KINDS, *(("item_reference",) if references else ()))(value["type"], f"{path}.type")
    if kind == "item_reference":
        return Item(members(value, path, {"type": text, "id": ident}, ("id",))["id"], kind)
    if kind == "message":
        read = members(value, path, _MESSAGE, ("role", "content"))
        if not isinstance(read["content"], list):
            raise wrong(f"{path}.content", "expected an array")
        parts = tuple(
            _part_from(part, f"{path}.content[{index}]", read["role"]) for index, part in enumerate(read["content"])
        )
        return Item(read.get("id", ""), kind, read["role"], content=parts)
    if kind == "function_call":
        read = members(value, path, _CALL, ("name", "arguments"))
        return Item(
            read.get("id", ""), kind, call_id=read.get("call_id"), name=read["name"], arguments=read["arguments"]
        )
    if kind == "function_call_output":
        read = members(value, path, _OUTPUT, ("call_id", "output"))
        return Item(read.get("id", ""), kind, call_id=read["call_id"], output=read["output"])
    return Item(ident(value["id"], f"{path}.id") if "id" in value else "", kind, extra=_carried(value))


def items_from(value: Any, path: str) -> tuple[Item, ...]:
    """The input of a response."""
    return tuple(listing(lambda entry, where: item_from(entry, where, references=True))(value, path))


def _carried(value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: member for name, member in value.items() if name not in ("id", "type", "object")}


def item_seen(value: Any) -> Item:
    """An item that the model reports, as far as it can be read. Never raises."""
    item = value if isinstance(value, dict) else {}
    read = known_members(item, {**_COMMON, **_CALL, **_OUTPUT, "role": choice(*_PARTS_OF_ROLE), "id": text})
    kind = read.get("type", "message")
    status = cast(Literal["in_progress", "completed", "incomplete"], read.get("status", "completed"))
    if kind not in ("message", "function_call", "function_call_output"):
        return Item(read.get("id", ""), kind, status=status, extra=_carried(item))
    content = item.get("content")
    parts = content if kind == "message" and isinstance(content, list) else ()
    return Item(
        id=read.get("id", ""),
        type=kind,
        role=read.get("role"),
        status=status,
        content=tuple(_part_seen(part) for part in parts),
        call_id=read.get("call_id"),
        name=read.get("name"),
        arguments=read.get("arguments"),
        output=read.get("output"),
    )


def item_object(item: Item, audio: bool = False) -> dict[str, Any]:
    """An item as the server shows it, complete; samples only with `audio`."""
    return {"id": item.id, "object": "realtime.item", "status": item.status, **_item_body(item, audio)}


def item_wish(item: Item) -> dict[str, Any]:
    """An item as a client sends it: with its samples, without what only the server knows."""
    return {**({"id": item.id} if item.id else {}), **_item_body(item, audio=True)}


def _item_body(item: Item, audio: bool) -> dict[str, Any]:
    if item.type == "message":
        content = [part_object(part, audio) for part in item.content]
        return {"type": item.type, "role": item.role or "assistant", "content": content}
    if item.type == "function_call":
        return {
            "type": item.type,
            "call_id": item.call_id or "",
            "name": item.name or "",
            "arguments": item.arguments or "",
        }
    if item.type == "function_call_output":
        return {"type": item.type, "call_id": item.call_id or "", "output": item.output or ""}
    return {"type": item.type, **item.extra}


# --- usage --------------------------------------------------------------------------------------------------


def usage_object(usage: Usage) -> dict[str, Any]:
    """`usage` of a response: gross counts with the cached ones inside; every total is the sum of its details."""
    inputs = usage.input_text + usage.input_audio + usage.input_image
    outputs = usage.output_text + usage.output_audio
    return {
        "total_tokens": inputs + outputs,
        "input_tokens": inputs,
        "output_tokens": outputs,
        "input_token_details": {
            "text_tokens": usage.input_text,
            "audio_tokens": usage.input_audio,
            "image_tokens": usage.input_image,
            "cached_tokens": usage.cached_text + usage.cached_audio + usage.cached_image,
            "cached_tokens_details": {
                "text_tokens": usage.cached_text,
                "audio_tokens": usage.cached_audio,
                "image_tokens": usage.cached_image,
            },
        },
        "output_token_details": {"text_tokens": usage.output_text, "audio_tokens": usage.output_audio},
    }


def transcription_usage_object(usage: Usage | None) -> dict[str, Any]:
    """`usage` of a transcription, which the protocol always has: by duration, or by tokens (section 9.3)."""
    if usage is None or usage.seconds is not None:
        return {"type": "duration", "seconds": (usage.seconds if usage else None) or 0.0}
    inputs = usage.input_text + usage.input_audio
    return {
        "type": "tokens",
        "total_tokens": inputs + usage.output_text,
        "input_tokens": inputs,
        "output_tokens": usage.output_text,
        "input_token_details": {"text_tokens": usage.input_text, "audio_tokens": usage.input_audio},
    }


_COUNT: Final = integer(0)
_COUNTS: Final[Table] = {"text_tokens": _COUNT, "audio_tokens": _COUNT, "image_tokens": _COUNT}
_USAGE: Final[Table] = {
    "input_tokens": _COUNT,
    "output_tokens": _COUNT,
    "input_token_details": mapping,
    "output_token_details": mapping,
}


def usage_seen(value: Any) -> Usage | None:
    """The usage that a model reports for a response or a transcription; None when there is none. Never raises.

    A total without details counts as text, so that no token is lost.
    """
    if not isinstance(value, dict):
        return None
    if value.get("type") == "duration":
        seconds = value.get("seconds")
        return Usage(seconds=float(seconds)) if isinstance(seconds, (int, float)) else None
    read = known_members(value, _USAGE)
    details = read.get("input_token_details", {})
    taken = known_members(details, _COUNTS)
    cached = known_members(details.get("cached_tokens_details"), _COUNTS)
    given = known_members(read.get("output_token_details"), _COUNTS)
    return Usage(
        input_text=taken.get("text_tokens", 0) if taken else read.get("input_tokens", 0),
        input_audio=taken.get("audio_tokens", 0),
        input_image=taken.get("image_tokens", 0),
        cached_text=cached.get("text_tokens", 0),
        cached_audio=cached.get("audio_tokens", 0),
        cached_image=cached.get("image_tokens", 0),
        output_text=given.get("text_tokens", 0) if given else read.get("output_tokens", 0),
        output_audio=given.get("audio_tokens", 0),
    )
