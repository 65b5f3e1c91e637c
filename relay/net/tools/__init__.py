"""Server tools: functions that the relay runs itself, as HTTP requests or on MCP servers.

`runner.ToolRunner` is what the rest of the relay uses; `http` and `mcp` are the two ways to run a function, and
`answer` is what a model reads of either.
"""
