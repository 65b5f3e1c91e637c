"""Tools that are HTTP endpoints: arguments out as JSON or as a query, the body back as text."""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from typing import Any

import aiohttp
import orjson

from relay import limits
from relay.config import ToolSettings
from relay.errors import ConfigError
from relay.net.tools.answer import ToolFailed, bounded, from_environment, hide
from relay.nouns import Tool


class HttpTools:
    """All `[tools.NAME]` of the configuration, over one pool of connections.

    Args:
        settings: the tables by name.
        environ: where headers come from.

    Raises:
        ConfigError: an address that is not HTTP, or a header whose variable is not set.
    """

    def __init__(self, settings: Mapping[str, ToolSettings], environ: Mapping[str, str]) -> None:
        self._settings = settings
        self._headers: dict[str, dict[str, str]] = {}
        self.tools: dict[str, Tool] = {}
        for name, tool in settings.items():
            if not tool.url.startswith(("http://", "https://")):
                raise ConfigError(f"tools.{name}.url: must begin with http:// or https://")
            self._headers[name] = from_environment(f"tools.{name}.headers_env", tool.headers_env, environ)
            self.tools[name] = Tool(name, tool.description, tool.parameters)
        self._session: aiohttp.ClientSession | None = None

    def deadline_s(self, name: str) -> float:
        """How long this tool may take."""
        return self._settings[name].deadline_s

    async def start(self) -> None:
        """Open the pool; nothing is connected before it is needed."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=limits.MAX_TOOL_CONNECTIONS),
            cookie_jar=aiohttp.DummyCookieJar(),  # what one conversation is given, the next must not send
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=limits.DIAL_DEADLINE_S),
        )

    async def stop(self) -> None:
        """Close the pool; requests in flight fail."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        """Ask the endpoint. Redirects are not followed: headers were meant for the address that was configured.

        Raises:
            ToolFailed: no connection, a status other than 2xx, or a body that is not text.
        """
        tool, headers = self._settings[name], self._headers[name]
        if self._session is None:
            raise ToolFailed("The tool is not available.")
        query = query_of(arguments) if tool.method == "GET" else None
        body = orjson.dumps(arguments) if tool.method == "POST" else None
        kind = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with self._session.request(
                tool.method, tool.url, params=query, data=body, headers=kind | headers, allow_redirects=False
            ) as response:
                text = await _text(response)
        except aiohttp.ClientError:
            raise ToolFailed("The tool could not be reached.") from None
        text = hide(text, headers.values())
        if 200 <= response.status < 300:
            return text
        if 400 <= response.status < 500:  # what a server says about a bad request helps the model to ask better
            raise ToolFailed(f"The tool refused the call (HTTP {response.status}). {text}")
        raise ToolFailed(f"The tool failed (HTTP {response.status}).")


def query_of(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Arguments as a query: text as it is, lists as repeated names, null left out, the rest as JSON."""
    pairs = []
    for key, value in arguments.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                pairs.append((key, one if isinstance(one, str) else orjson.dumps(one).decode()))
    return pairs


async def _text(response: aiohttp.ClientResponse) -> str:
    """The body, read no further than the bound."""
    raw = bytearray()
    while (room := limits.MAX_TOOL_OUTPUT_BYTES + 1 - len(raw)) and (chunk := await response.content.read(room)):
        raw += chunk
    try:
        text = codecs.getincrementaldecoder(response.charset or "utf-8")().decode(bytes(raw), final=room > 0)
        return bounded(text, more=room == 0)
    except (LookupError, UnicodeDecodeError):
        raise ToolFailed("The tool returned something other than text.") from None
