"""Runs server tools beside the conversation: every call in a task of its own, answered once."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from relay.config import Config
from relay.events import ToolAnswered
from relay.net.tasks import spawn
from relay.net.tools.answer import ToolFailed, bounded, failure
from relay.net.tools.http import HttpTools
from relay.net.tools.mcp import McpServer
from relay.nouns import Tool

log = logging.getLogger("relay.tools")

Sink = Callable[[ToolAnswered], None]


@dataclass(frozen=True, slots=True)
class Offer:
    """One tool as an agent has it."""

    origin: str
    """The configuration's name for where it comes from; also the prefix when its own name is taken."""
    tool: Tool
    deadline_s: float
    call: Callable[[Mapping[str, Any]], Awaitable[str]]


class ToolRunner:
    """All server tools of one process.

    An agent's tools are named as in the configuration: "weather" for `[tools.weather]`, "mcp:files" for everything that
    `[mcp.files]` offers. A name that an agent already has gets its server's name in front; once given, a name keeps
    its meaning for as long as the process lives, whatever comes and goes.

    Args:
        config: its `tools` and `mcp` tables.
        environ: where headers and environments of tools come from.

    Raises:
        ConfigError: a tool that cannot be reached as configured, or a variable that is not set.
    """

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        self._http = HttpTools(config.tools, environ)
        self._servers = {name: McpServer(name, settings, environ) for name, settings in config.mcp.items()}
        self._given: dict[tuple[str, ...], dict[str, Offer]] = {}  # bounded: by agents and by MAX_MCP_TOOLS

    async def start(self) -> None:
        """Connect the MCP servers, all at once; one that fails is logged and tried again when it is wanted.

        Takes limits.MCP_CONNECT_DEADLINE_S at most.
        """
        await self._http.start()
        await asyncio.gather(*(server.start() for server in self._servers.values()))

    async def stop(self) -> None:
        """End all servers and connections. Calls that still run are answered as failed."""
        await asyncio.gather(*(server.stop() for server in self._servers.values()))
        await self._http.stop()

    def tools_of(self, names: Sequence[str]) -> tuple[Tool, ...]:
        """What an agent with this `tools` list can offer its model now. Wakes servers that went away."""
        return tuple(offer.tool for offer in self._offers(names))

    def deadlines_of(self, names: Sequence[str]) -> dict[str, float]:
        """Seconds that each tool of `tools_of` may take, by its name."""
        return {offer.tool.name: offer.deadline_s for offer in self._offers(names)}

    def run(
        self, call_id: str, name: str, arguments: str, sink: Sink, agent_tools: Sequence[str]
    ) -> asyncio.Task[None]:
        """Begin a call and return at once; `sink` gets one `ToolAnswered` later, on the event loop.

        Args:
            call_id: goes into the answer.
            name: as in `tools_of(agent_tools)`.
            arguments: JSON text of an object.
            agent_tools: the agent's `tools` list.

        Returns:
            The call. Cancel it when nobody waits for it any more: then there is no answer.
        """
        return spawn(self._run(call_id, name, arguments, sink, tuple(agent_tools)), name=f"tool {name}")

    async def _run(self, call_id: str, name: str, arguments: str, sink: Sink, agent_tools: tuple[str, ...]) -> None:
        try:
            output, failed = await self._answer(name, arguments, agent_tools), False
        except ToolFailed as error:
            output, failed = failure(str(error)), True
        sink(ToolAnswered(call_id, output, failed))

    async def _answer(self, name: str, arguments: str, agent_tools: tuple[str, ...]) -> str:
        offer = self._given.get(agent_tools, {}).get(name)
        if offer is None:
            raise ToolFailed("There is no tool of this name.")
        try:
            values = orjson.loads(arguments or "{}")
        except orjson.JSONDecodeError:
            raise ToolFailed("The arguments are not valid JSON.") from None
        if not isinstance(values, dict):
            raise ToolFailed("The arguments are not a JSON object.")
        try:
            async with asyncio.timeout(offer.deadline_s):
                return bounded(await offer.call(values))
        except TimeoutError:
            raise ToolFailed(f"The tool did not answer within {offer.deadline_s:g} seconds.") from None
        except ToolFailed:
            raise
        except Exception as error:  # a tool's failure, of whatever kind, is an answer, never the end of the session
            log.warning("tool failed", extra={"tool": name, "error": type(error).__name__})
            raise ToolFailed("The tool failed.") from None

    def _offers(self, names: Sequence[str]) -> list[Offer]:
        """What `names` stand for now, under the names that this agent knows."""
        given = self._given.setdefault(tuple(names), {})
        known = {(offer.origin, offer.tool.name): public for public, offer in given.items()}
        offers = []
        for offer in self._sources(names):
            own = offer.tool.name
            free = (name for name in (wire_name(own), wire_name(f"{offer.origin}_{own}")) if name not in given)
            public = known.get((offer.origin, own)) or next(free, None)
            if public is None:
                log.warning("tool left out: its name is taken", extra={"tool": own, "origin": offer.origin})
                continue
            given[public] = offer
            offers.append(replace(offer, tool=replace(offer.tool, name=public)))
        return offers

    def _sources(self, names: Sequence[str]) -> Iterator[Offer]:
        for name in names:
            if name in self._http.tools:
                yield self._http_offer(name)
            elif name.startswith("mcp:") and (server := self._servers.get(name[4:])):
                server.wake()
                for tool in server.tools:
                    yield self._mcp_offer(server, tool)

    def _http_offer(self, name: str) -> Offer:
        return Offer(name, self._http.tools[name], self._http.deadline_s(name), lambda a: self._http.call(name, a))

    @staticmethod
    def _mcp_offer(server: McpServer, tool: Tool) -> Offer:
        return Offer(server.name, tool, server.deadline_s, lambda a: server.call(tool.name, a))


def wire_name(name: str) -> str:
    """A name that every model accepts: letters, digits, `_` and `-`, 64 at most (OpenAI API, function `name`)."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)[:64]
