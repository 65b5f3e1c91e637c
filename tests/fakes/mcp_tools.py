"""A real MCP server whose tools misbehave on request. Run as a script it speaks over stdio."""

import os
import sys

import anyio
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError


def build(name: str = "fake") -> MCPServer:
    """The server, for either transport."""
    server = MCPServer(name)
    waiting: list[int] = []
    complete = anyio.Event()

    @server.tool()
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    @server.tool()
    async def meet(party: int) -> str:
        """Answers only when as many calls as `party` says are running at once."""
        waiting.append(party)
        if len(waiting) == party:
            complete.set()
        await complete.wait()
        return "met"

    @server.tool()
    async def hang() -> str:
        """Never answers."""
        await anyio.sleep_forever()
        return ""

    @server.tool()
    def huge(size: int) -> str:
        """Returns as many letters as asked for."""
        return "é" * size

    @server.tool()
    def leak() -> str:
        """Tells what it was given to keep."""
        return f"my token is {os.environ.get('FAKE_TOKEN', 'none')}"

    @server.tool()
    def fail() -> str:
        """Always raises."""
        raise ToolError("there is no city of this name")

    @server.tool()
    def pid() -> int:
        """The process the server runs in."""
        return os.getpid()

    @server.tool()
    def crash() -> str:
        """Ends the process in the middle of the call."""
        os._exit(3)

    return server


if __name__ == "__main__":
    print("a line on standard error with", os.environ.get("FAKE_TOKEN"), file=sys.stderr)
    build().run("stdio")
