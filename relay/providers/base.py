"""What a provider tells the relay: where a model is and how to speak to it. No parsing, no sockets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from relay.nouns import AudioFormat


class SecretHeaders(Mapping[str, str]):
    """Request headers that carry credentials; neither `repr` nor `str` shows a value."""

    def __init__(self, headers: Mapping[str, str] | None = None) -> None:
        self._headers = dict(headers or {})

    def __getitem__(self, name: str) -> str:
        return self._headers[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._headers)

    def __len__(self) -> int:
        return len(self._headers)

    def __repr__(self) -> str:
        return f"SecretHeaders({', '.join(self._headers)})"


@dataclass(frozen=True, slots=True)
class Target:
    """One realtime model, ready to be dialled."""

    model: str
    """`<provider>/<model>`, as the catalogue has it."""
    leg: Literal["socket", "cascade"]
    """socket: another server, over a WebSocket; cascade: composed here."""
    dialect: str = ""
    """Of a socket: name of the model dialect."""
    url: str = ""
    """Of a socket: `ws:` or `wss:`, with its query."""
    headers: SecretHeaders = field(default_factory=SecretHeaders)
    relay_turns: bool = True
    """Who detects turns: the relay, or the model."""
    input_format: AudioFormat | None = None
    """What the model takes; None: what the caller sends, untouched."""
    output_format: AudioFormat | None = None
    """What the model gives; None: what the caller asked for."""
    voices: tuple[str, ...] = ()
    """Voices the model has; () means not known."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One line of the catalogue."""

    id: str
    kind: Literal["realtime", "transcription", "speech", "chat"]
    name: str
    description: str = ""
    owner: str = ""
