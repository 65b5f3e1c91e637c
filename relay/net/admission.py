"""How many may come in: connections are counted before they cost anything, sessions before they are opened."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable

from aiohttp import web

from relay import limits
from relay.errors import CloseReason, TooMany

FILES_PER_SESSION = 2
"""A caller's socket and a model's."""

_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
)


class Admission:
    """Counts the sessions of this process.

    Args:
        max_sessions: as configured; lowered where the operating system allows fewer open files.
    """

    def __init__(self, max_sessions: int) -> None:
        allowed = (raise_file_limit() - limits.RESERVED_FILES - limits.MAX_HALF_OPEN) // FILES_PER_SESSION
        self.max_sessions = max(1, min(max_sessions, allowed))
        self.sessions = 0
        """Open now, or being opened."""
        self.draining = False
        """A restart is announced: balancers are told to send callers elsewhere."""
        self.refusing = False
        """Nobody is let in any more."""

    def enter(self) -> None:
        """Count a session that is about to be opened; `leave` when it is over.

        Raises:
            TooMany: 503; the relay is full or being restarted.
        """
        if self.refusing:
            raise TooMany(CloseReason.GOING_AWAY.text, retry_after_s=1, status=503)
        if self.sessions >= self.max_sessions:
            raise TooMany(CloseReason.FULL.text, retry_after_s=2, status=503)
        self.sessions += 1

    def leave(self) -> None:
        """A session is over, or did not come to be."""
        self.sessions -= 1


def raise_file_limit() -> int:
    """Allow this process as many open files as it may have; returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard if hard != resource.RLIM_INFINITY else 1 << 20


def bounded(server: web.Server, connections: int) -> Callable[[], asyncio.Protocol]:
    """A protocol factory that lets `connections` be open at once and refuses the next one with 503."""

    def accept() -> asyncio.Protocol:
        if len(server.connections) >= connections:
            return _Refusal()
        return server()

    return accept


class _Refusal(asyncio.Protocol):
    """Says no and hangs up, before a byte of the request is read."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(_FULL)
        transport.close()
