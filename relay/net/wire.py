"""WebSocket frames as bytes (RFC 6455 sections 5.2 framing, 5.3 masking, 5.5.1 close). Pure."""

from __future__ import annotations

from collections.abc import Iterator
from os import urandom
from struct import Struct

from relay import limits

try:
    from aiohttp._websocket.helpers import websocket_mask
except ImportError:  # a private name: slower without it, but right

    def websocket_mask(mask: bytes, data: bytearray) -> None:
        """XOR `data` in place with the four bytes of `mask`, repeated."""
        size = len(data)
        key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
        data[:] = (int.from_bytes(data, "big") ^ key).to_bytes(size, "big")


TEXT, BINARY, CLOSE, PING, PONG = 0x1, 0x2, 0x8, 0x9, 0xA

UNSENDABLE_CODES = frozenset({1004, 1005, 1006, 1015})
"""RFC 6455 section 7.4.1: reserved, must not stand in a close frame."""

_head_16 = Struct("!BBH").pack
_head_64 = Struct("!BBQ").pack


def _masks() -> Iterator[bytes]:
    """Unpredictable masks (RFC 6455 section 10.3); the system is asked once for a thousand of them."""
    while True:
        pool = urandom(4_000)
        yield from (pool[at : at + 4] for at in range(0, len(pool), 4))


_next_mask = _masks().__next__


def plain_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole, final frame as a server sends it."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return _head_16(0x80 | opcode, 126, size) + payload
    return _head_64(0x80 | opcode, 127, size) + payload


def masked_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """One whole, final frame as a client sends it; the mask is fresh for every frame."""
    size = len(payload)
    mask = _next_mask()
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65_536:
        head = _head_16(0x80 | opcode, 0xFE, size)
    else:
        head = _head_64(0x80 | opcode, 0xFF, size)
    body = bytearray(payload)
    websocket_mask(mask, body)
    return head + mask + body


def close_payload(code: int, text: str = "") -> bytes:
    """What stands in a close frame; the text is cut to what fits.

    Raises:
        ValueError: a code that must not be sent (RFC 6455 section 7.4.1).
    """
    if code in UNSENDABLE_CODES:
        raise ValueError(f"close code {code} must not be sent")
    cut = text.encode()[:limits.MAX_CLOSE_REASON_BYTES].decode("utf-8", "ignore")
    return code.to_bytes(2, "big") + cut.encode()
