"""Checked access to the members of a frame. `Wrong` never leaves this package: it becomes a `Rejected`."""

from __future__ import annotations

import binascii
import math
from collections.abc import Collection, Mapping
from typing import Any

from relay import limits


class Wrong(Exception):
    """The caller's frame is not what the protocol allows; `param` is the dotted path of the member."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


def text(members: Mapping[str, Any], name: str, path: str = "") -> str:
    """A string member that must be there."""
    value = members.get(name)
    if not isinstance(value, str):
        raise Wrong(f"{path}{name} must be a string.", path + name)
    return value


def table(members: Mapping[str, Any], name: str, path: str = "") -> dict[str, Any]:
    """An object member that must be there."""
    value = members.get(name)
    if not isinstance(value, dict):
        raise Wrong(f"{path}{name} must be an object.", path + name)
    return value


def flag(members: Mapping[str, Any], name: str, path: str = "") -> bool:
    """A boolean member that must be there."""
    value = members.get(name)
    if not isinstance(value, bool):
        raise Wrong(f"{path}{name} must be true or false.", path + name)
    return value


def number(members: Mapping[str, Any], name: str, low: float, high: float, path: str = "") -> float:
    """A numeric member that must be there and lie within the bounds, both included."""
    value = members.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise Wrong(f"{path}{name} must be a number.", path + name)
    if not low <= value <= high:
        raise Wrong(f"{path}{name} must be between {low:g} and {high:g}.", path + name)
    return value


def choice(members: Mapping[str, Any], name: str, allowed: Collection[str], path: str = "") -> str:
    """A string member that must be one of a few."""
    value = members.get(name)
    if not isinstance(value, str) or value not in allowed:
        raise Wrong(f"{path}{name} must be one of {', '.join(sorted(allowed))}.", path + name)
    return value


def decoded_size(base64: str) -> int:
    """Bytes that base64 text stands for, told from its length and padding alone; -1 if it cannot be base64."""
    if len(base64) & 3:
        return -1
    return (len(base64) >> 2) * 3 - (base64[-2:].count("="))


def clip(members: Mapping[str, Any], name: str, path: str = "") -> bytes:
    """The bytes of a base64 member: standard alphabet, padded, not empty."""
    value = text(members, name, path)
    try:
        audio = binascii.a2b_base64(value.encode(), strict_mode=True)
    except binascii.Error:
        audio = b""
    if not audio:
        raise Wrong(f"{path}{name} must be audio as padded base64 in the standard alphabet.", path + name)
    return audio


def check_tree(root: dict[str, Any]) -> None:
    """Refuse what the AI SDK's own parser refuses (prototype keys), and nesting beyond limits.MAX_JSON_DEPTH."""
    level: list[Any] = [root]
    for _ in range(limits.MAX_JSON_DEPTH):
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                constructor = node.get("constructor")
                if "__proto__" in node or (isinstance(constructor, dict) and "prototype" in constructor):
                    raise Wrong("The frame holds a forbidden prototype property.")
                node = node.values()
            below.extend(value for value in node if isinstance(value, (dict, list)))
        if not below:
            return
        level = below
    raise Wrong(f"The frame is nested more than {limits.MAX_JSON_DEPTH} deep.")
