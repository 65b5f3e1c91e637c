"""What a dialect is: a pair of pure functions between one wire format and our events.

A *caller dialect* is the server's side of a protocol: `decode` takes what callers send and gives requests;
`encode` takes happenings and gives what callers read. A *model dialect* is the client's side: `encode` takes
requests, `decode` gives happenings. Both keep only the state that the wire itself needs (which item is open, which
id was announced). Frames are JSON text as bytes; `Binary` marks one that travels as a binary frame. Neither ever
raises on what a peer sent: a caller's mistake is a `Rejected`, a model's is a `Failed`.
"""

from __future__ import annotations

from typing import Protocol

from relay.errors import CloseReason
from relay.events import Event


class Binary(bytes):
    """A frame that travels as WebSocket binary."""


class CallerDialect(Protocol):
    """The server's side of a protocol, for one session."""

    name: str
    """Equal names on both legs mean that frames may be forwarded as they came."""

    waits_for_settings: bool
    """True: the session opens when the first settings arrive (AI SDK); False: at once (OpenAI)."""

    def decode(self, frame: bytes, *, binary: bool = False) -> list[Event]:
        """What the caller said. Never raises."""
        ...

    def encode(self, event: Event) -> list[bytes]:
        """How to say it to the caller; an event without a counterpart gives an empty list."""
        ...

    def farewell(self, reason: CloseReason, detail: str = "") -> list[bytes]:
        """Last words before the socket is closed for `reason`; empty where the close code says it all."""
        ...


class ModelDialect(Protocol):
    """The client's side of a protocol, for one session."""

    name: str

    def encode(self, event: Event) -> list[bytes]:
        """How to ask the model for it."""
        ...

    def decode(self, frame: bytes, *, binary: bool = False) -> list[Event]:
        """What the model did. Never raises."""
        ...
