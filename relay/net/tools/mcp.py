"""Tools of Model Context Protocol servers, over stdio or streamable HTTP.

The `mcp` package is imported when the first server is connected: it takes half a second and 40 MB, which a relay
without MCP servers need not spend. Its scopes must be left by the task that entered them, so every connection lives in
a task of its own from beginning to end; calls are made from any task, many at a time, over the one session.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import orjson

from relay import __version__, limits
from relay.config import McpSettings
from relay.net.tasks import spawn
from relay.net.tools.answer import ToolFailed, from_environment, hide
from relay.nouns import Tool

if TYPE_CHECKING:
    from mcp import Client
    from mcp.types import CallToolResult

log = logging.getLogger("relay.tools.mcp")


class McpServer:
    """One server of the configuration: connected on demand, and again after it went away.

    Args:
        name: the table's name in the configuration.
        settings: the table.
        environ: where its headers and environment come from.

    Raises:
        ConfigError: a variable is not set.
    """

    def __init__(self, name: str, settings: McpSettings, environ: Mapping[str, str]) -> None:
        self.name = name
        self.deadline_s = settings.deadline_s
        self.tools: tuple[Tool, ...] = ()
        """What the server offered when it was last connected."""
        self._settings = settings
        self._env = from_environment(f"mcp.{name}.env", settings.env, environ)
        self._headers = from_environment(f"mcp.{name}.headers_env", settings.headers_env, environ)
        self._life: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[Client | None] | None = None
        self._gone = asyncio.Event()
        self._losses = 0
        self._retry_at = 0.0

    def wake(self) -> None:
        """Begin to connect, unless connected, on the way, or too soon after a failure (1 s, doubling to a minute)."""
        loop = asyncio.get_running_loop()
        if (self._life is None or self._life.done()) and loop.time() >= self._retry_at:
            self._ready = loop.create_future()
            self._life = spawn(self._live(self._ready), name=f"mcp server {self.name}")

    async def start(self) -> None:
        """Connect; returns when the tools are known or the attempt has failed (which is logged)."""
        await self._client()

    async def stop(self) -> None:
        """Disconnect; a server process is ended. Calls in flight fail."""
        if self._life is not None and not self._life.done():
            self._life.cancel()
            await asyncio.wait([self._life], timeout=limits.MCP_STOP_DEADLINE_S)

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> str:
        """Run a tool, on a server that is started again first if it went away since.

        Raises:
            ToolFailed: the server is not there, went away before it answered (the call is not repeated: it may have
                had its effect), or says that the call failed.
        """
        client = await self._client()
        if client is None:
            raise ToolFailed("The server of this tool is not available.")
        from mcp import MCPError

        try:
            result = await client.call_tool(tool, dict(arguments))
        except MCPError as error:
            if is_connection_lost(error):
                self._gone.set()
                raise ToolFailed("The server of this tool went away before it answered.") from None
            raise ToolFailed(self._hide(str(error))) from None
        self._losses = 0
        text = self._hide(text_of(result))
        if result.is_error:
            raise ToolFailed(text)
        return text

    async def _client(self) -> Client | None:
        """A connection, made if need be; None when there is none to be had now."""
        if self._life is not None and self._gone.is_set():
            await asyncio.wait([self._life])  # the old one is being put away
        self.wake()
        if self._life is None or self._life.done() or self._ready is None:
            return None
        return await asyncio.shield(self._ready)

    async def _live(self, ready: asyncio.Future[Client | None]) -> None:
        """One connection, from dialling to the end of the server."""
        from mcp import Client
        from mcp.types import Implementation

        self._gone = asyncio.Event()
        _silence_libraries()
        try:
            async with asyncio.timeout(limits.MCP_CONNECT_DEADLINE_S) as deadline:
                info = Implementation(name="voice-relay", version=__version__)
                async with Client(self._transport(self._gone), client_info=info, cache=None) as client:
                    self.tools = await self._list(client)
                    deadline.reschedule(None)
                    ready.set_result(client)
                    log.info("MCP server connected", extra={"server": self.name, "tools": len(self.tools)})
                    await self._gone.wait()
            log.warning("MCP server went away", extra={"server": self.name})
        except Exception as error:  # whatever a server, its transport or the library does must not end the relay
            log.warning("MCP server failed", extra={"server": self.name, "error": _kind(error)})
        finally:
            pause_s = 0.0 if self._losses == 0 else min(2.0 ** (self._losses - 1), limits.MCP_RETRY_MAX_S)
            self._retry_at = asyncio.get_running_loop().time() + pause_s
            self._losses += 1
            if not ready.done():
                ready.set_result(None)

    async def _list(self, client: Client) -> tuple[Tool, ...]:
        """The server's tools, all pages, as far as the configuration allows them."""
        tools: list[Tool] = []
        cursor: str | None = None
        while len(tools) < limits.MAX_MCP_TOOLS:
            page = await client.list_tools(cursor=cursor)
            for tool in page.tools:
                if self._settings.allow is None or tool.name in self._settings.allow:
                    tools.append(Tool(tool.name, tool.description or "", tool.input_schema))
            cursor = page.next_cursor
            if not cursor:
                break
        return tuple(tools[: limits.MAX_MCP_TOOLS])

    @asynccontextmanager
    async def _transport(self, gone: asyncio.Event) -> AsyncIterator[Any]:
        """The server's streams; `gone` is set when what it sends has come to an end."""
        async with self._dial() as (received, sent):
            yield _Watched(received, gone), sent

    @asynccontextmanager
    async def _dial(self) -> AsyncIterator[Any]:
        if self._settings.url is not None:
            import httpx2
            from mcp.client.streamable_http import streamable_http_client

            # No read limit: every call has its own deadline, and an event stream is silent for as long as it likes.
            patience = httpx2.Timeout(limits.MCP_CONNECT_DEADLINE_S, read=None)
            async with (
                httpx2.AsyncClient(headers=self._headers, timeout=patience) as http,
                streamable_http_client(self._settings.url, http_client=http) as streams,
            ):
                yield streams
            return
        from mcp.client.stdio import StdioServerParameters, stdio_client

        command, *args = self._settings.command
        server = StdioServerParameters(command=command, args=args, env=self._env)
        # Standard error of a tool may quote its arguments, so it is shown only to who asked for debugging.
        if log.isEnabledFor(logging.DEBUG):
            async with stdio_client(server) as streams:
                yield streams
            return
        with open(os.devnull, "w") as nowhere:  # noqa: ASYNC230 - opens without waiting
            async with stdio_client(server, nowhere) as streams:
                yield streams

    def _hide(self, text: str) -> str:
        return hide(text, [*self._env.values(), *self._headers.values()])


class _Watched:
    """A stream of received messages that tells when it ends. The library keeps that to itself."""

    def __init__(self, stream: Any, gone: asyncio.Event) -> None:
        self._stream = stream
        self._gone = gone

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> Any:
        return self._stream.__aiter__()

    async def __aenter__(self) -> _Watched:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        self._gone.set()
        return await self._stream.__aexit__(*error)


def text_of(result: CallToolResult) -> str:
    """What a model reads of a result: its texts, else its structured content; other media are named, not carried."""
    texts = []
    for block in result.content:
        if block.type == "text":
            texts.append(block.text)
        elif block.type == "resource" and (text := getattr(block.resource, "text", None)) is not None:
            texts.append(text)
        elif block.type == "resource_link":
            texts.append(str(block.uri))
        else:
            texts.append(f"[{block.type} left out]")
    if not texts and result.structured_content is not None:
        return orjson.dumps(result.structured_content).decode()
    return "\n".join(texts)


def is_connection_lost(error: Any) -> bool:
    """Whether an `MCPError` means that this connection will not answer again.

    Codes: `mcp_types.jsonrpc.CONNECTION_CLOSED`; a session that the server forgot (HTTP 404, MCP 2025-11-25
    "Streamable HTTP", Session Management 3) is reported by the library as an invalid request with this text.
    """
    from mcp.types import CONNECTION_CLOSED

    return bool(error.code == CONNECTION_CLOSED or error.message == "Session terminated")


def _kind(error: BaseException) -> str:
    """The type of the first error in a group of groups; its text may hold what a peer sent."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


def _silence_libraries() -> None:
    """The libraries log messages and addresses in full, which may hold secrets; what matters is logged here."""
    for name in ("mcp", "httpx2"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
