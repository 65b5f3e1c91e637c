"""A small, well-behaved MCP server. Run as a script it speaks over stdio."""

from mcp.server.mcpserver import MCPServer

server = MCPServer("weather")


@server.tool()
def get_weather(city: str) -> dict[str, str | int]:
    """The weather in a city."""
    return {"city": city, "celsius": 23, "sky": "cloudy"}


if __name__ == "__main__":
    server.run()
