"""What all calls of one process share, and the list of those calls."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from aiohttp import web

from relay.config import Config
from relay.errors import CloseReason
from relay.net.admission import Admission
from relay.net.auth import Authenticator, Grant
from relay.net.composed import Engines
from relay.net.parts import ModelLeg, Sink, SpeechJudge
from relay.net.pump import Call
from relay.net.tools.runner import ToolRunner


class EngineHouse(Protocol):
    """`net.engines.LocalEngines`, as far as calls need it."""

    def session(self, sink: Sink) -> Engines:
        """Engines for one conversation, reporting to `sink`."""
        ...


@dataclass(eq=False)
class House:
    """Everything a call is given by the process that it lives in."""

    config: Config
    authenticator: Authenticator
    tools: ToolRunner
    judge: SpeechJudge | None
    engines: EngineHouse
    pool: aiohttp.ClientSession
    """For dialling models."""
    admission: Admission
    calls: dict[Call, Grant] = field(default_factory=dict)
    """Live sessions; bounded by `admission`."""
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while there is no call."""
    started_at: int = field(default_factory=lambda: int(time.time()))
    """Unix seconds."""

    def __post_init__(self) -> None:
        self.empty.set()

    async def carry(self, call: Call, grant: Grant, connect: Callable[[Sink], Awaitable[ModelLeg]]) -> None:
        """Run a call, which is listed while it lives."""
        self.calls[call] = grant
        self.empty.clear()
        try:
            await call.run(connect)
        finally:
            del self.calls[call]
            if not self.calls:
                self.empty.set()

    def revoke(self, revoked: Mapping[str, int]) -> None:
        """End the calls whose grants are worth nothing any more; names as of `RevocationWatch`."""
        for call, grant in list(self.calls.items()):
            if grant.revoked_by(revoked):
                call.end(CloseReason.REVOKED)


HOUSE: web.AppKey[House] = web.AppKey("house", House)
