"""Opening frames, and saying in the protocol's own words what is wrong with one (section 12.2).

A *reader* takes a JSON value and its dotted path and gives our value of it, or raises `Invalid`. Tables of readers
are the specification of what a client may send. `Invalid` never leaves this package: whoever reads a frame catches it
and makes a `Fault` of it.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import orjson

from relay import limits
from relay.nouns import Fault

Reader = Callable[[Any, str], Any]
Table = Mapping[str, Reader]

MAX_INTEGER: Final = 2**53
"""Beyond it JavaScript cannot count, and sums would not fit into the 64 bits that orjson writes."""


class Invalid(Exception):
    """A frame, or a part of it, that the protocol does not allow."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.param = param

    def fault(self, request_id: str | None = None) -> Fault:
        """The same as a value."""
        return Fault("invalid_request_error", self.code, self.message, self.param, request_id)


def wrong(path: str, message: str) -> Invalid:
    """A value that is not allowed at `path`. The value itself is not repeated: it may be private or huge."""
    return Invalid("invalid_value", f"Invalid value for '{path}': {message}.", path)


def missing(path: str) -> Invalid:
    """A member that has to be there."""
    return Invalid("missing_required_parameter", f"Missing required parameter: '{path}'.", path)


def loads(frame: bytes) -> dict[str, Any]:
    """The object of a text frame.

    Raises:
        Invalid: not JSON, or not an object.
    """
    try:
        message = orjson.loads(frame)
    except orjson.JSONDecodeError:
        raise Invalid("invalid_event", "The frame is not valid JSON.") from None
    if type(message) is not dict:
        raise Invalid("invalid_event", "The frame is not a JSON object.")
    return message


def quoted(audio: str | bytes) -> bytes:
    """Audio as a JSON string. HOT. Text is escaped although base64 needs none: it comes from a peer."""
    return orjson.dumps(audio) if isinstance(audio, str) else b'"%b"' % binascii.b2a_base64(audio, newline=False)


def check_depth(message: dict[str, Any]) -> None:
    """Look at the whole of a frame that is not HOT.

    Raises:
        Invalid: nested deeper than `limits.MAX_JSON_DEPTH`.
    """
    level: list[Any] = [message]
    for _ in range(limits.MAX_JSON_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, (dict, list))
        ]
        if not level:
            return
    raise Invalid("invalid_event", f"The frame is nested deeper than {limits.MAX_JSON_DEPTH} levels.")


def request_id_of(message: Mapping[str, Any]) -> str | None:
    """The client's own id of a frame, where it is one that may be repeated to it."""
    request_id = message.get("event_id")
    if isinstance(request_id, str) and 0 < len(request_id) <= limits.MAX_EVENT_ID_CHARS:
        return request_id
    return None


def members(value: Any, path: str, table: Table, required: Collection[str] = ()) -> dict[str, Any]:
    """Read an object whose members are exactly those of `table`; `required` ones must be there.

    Returns:
        The members that were present, read.
    """
    if not isinstance(value, dict):
        raise wrong(path, "expected an object")
    prefix = f"{path}." if path else ""
    for name in required:
        if name not in value:
            raise missing(prefix + name)
    read = {}
    for name, member in value.items():
        reader = table.get(name)
        if reader is None:
            where = (prefix + name)[: limits.MAX_PARAM_CHARS]
            raise Invalid("unknown_parameter", f"Unknown parameter: '{where}'.", where)
        read[name] = reader(member, prefix + name)
    return read


def known_members(value: Any, table: Table) -> dict[str, Any]:
    """What can be read of an object that somebody else answers for: the rest is left out."""
    read: dict[str, Any] = {}
    if isinstance(value, dict):
        for name, reader in table.items():
            if name in value:
                try:
                    read[name] = reader(value[name], name)
                except Invalid:
                    continue
    return read


# --- readers ------------------------------------------------------------------------------------------------


def text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise wrong(path, "expected a string")
    return value


def ident(value: Any, path: str) -> str:
    """An id: not empty, and as short as an event id must be."""
    if not isinstance(value, str) or not 0 < len(value) <= limits.MAX_EVENT_ID_CHARS:
        raise wrong(path, f"expected a string of 1 to {limits.MAX_EVENT_ID_CHARS} characters")
    return value


def flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise wrong(path, "expected true or false")
    return value


def anything(value: Any, path: str) -> Any:
    return value


def mapping(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(path, "expected an object")
    return value


def audio_bytes(value: Any, path: str) -> bytes:
    """Standard base64 with padding."""
    try:
        return binascii.a2b_base64(text(value, path), strict_mode=True)
    except ValueError:
        raise wrong(path, "expected base64") from None


def integer(low: int, high: int = MAX_INTEGER) -> Reader:
    def read(value: Any, path: str) -> int:
        if type(value) is not int or not low <= value <= high:
            raise wrong(path, f"expected an integer from {low} to {high}")
        return value

    return read


def number(low: float, high: float) -> Reader:
    def read(value: Any, path: str) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not low <= value <= high:
            raise wrong(path, f"expected a number from {low} to {high}")
        return value

    return read


def choice(*allowed: str) -> Reader:
    def read(value: Any, path: str) -> str:
        if value not in allowed or not isinstance(value, str):
            raise wrong(path, "supported values are " + ", ".join(f"'{name}'" for name in allowed))
        return value

    return read


def nullable(reader: Reader) -> Reader:
    return lambda value, path: None if value is None else reader(value, path)


def listing(reader: Reader) -> Reader:
    def read(value: Any, path: str) -> list[Any]:
        if not isinstance(value, list):
            raise wrong(path, "expected an array")
        return [reader(entry, f"{path}[{index}]") for index, entry in enumerate(value)]

    return read


def record(table: Table, required: Collection[str] = ()) -> Reader:
    return lambda value, path: members(value, path, table, required)
