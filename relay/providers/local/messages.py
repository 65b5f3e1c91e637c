"""How the relay and its engine processes talk: length-prefixed messages over a pipe.

A message is four bytes of length (big-endian, of all that follows), two bytes of head length, the head as JSON, and a
tail of raw bytes (samples). Both ends are ours; the lengths still are checked, so that a broken child cannot make the
relay reserve memory.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

import orjson

PREFIX = struct.Struct(">IH")
MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""A turn's longest piece of audio is a second; the rest is text."""


class Message(NamedTuple):
    """One message."""

    head: dict[str, Any]
    tail: bytes = b""


def pack(head: dict[str, Any], tail: bytes = b"") -> bytes:
    """A message as bytes."""
    text = orjson.dumps(head)
    return PREFIX.pack(2 + len(text) + len(tail), len(text)) + text + tail


def lengths(prefix: bytes) -> tuple[int, int]:
    """Bytes of head and of tail that follow a prefix of `PREFIX.size` bytes.

    Raises:
        ValueError: the other end does not speak this protocol.
    """
    total, head = PREFIX.unpack(prefix)
    if total > MAX_MESSAGE_BYTES or head + 2 > total:
        raise ValueError("not a message of an engine")
    return head, total - 2 - head


def unpack(body: bytes, head: int) -> Message:
    """The message in what followed the prefix.

    Raises:
        ValueError: the head is not a JSON object.
    """
    parsed = orjson.loads(body[:head])
    if not isinstance(parsed, dict):
        raise ValueError("not a message of an engine")
    return Message(parsed, body[head:])
