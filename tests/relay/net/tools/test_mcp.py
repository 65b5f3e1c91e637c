"""Against real servers of the `mcp` package: one over stdio, one over streamable HTTP."""

import asyncio
import logging
import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relay.config import McpSettings
from relay.errors import ConfigError
from relay.net.tools.answer import ToolFailed
from relay.net.tools.mcp import McpServer, is_connection_lost, text_of

FAKE = Path(__file__).parents[3] / "fakes" / "mcp_tools.py"
CANARY = "canary-77aa"


def stdio(**settings) -> McpServer:
    table = McpSettings(command=(sys.executable, str(FAKE)), env={"FAKE_TOKEN": "OUR_TOKEN"}, **settings)
    return McpServer("fake", table, {"OUR_TOKEN": CANARY})


@pytest.fixture(scope="module")
def loop():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def server(loop):
    """Started once: a process takes most of a second to come up."""
    server = stdio()
    loop.run(server.start())
    yield server
    loop.run(server.stop())


async def refusal(server, tool, arguments=None) -> str:
    with pytest.raises(ToolFailed) as failed:
        await server.call(tool, arguments or {})
    return str(failed.value)


def test_connected_server_offers_its_tools_with_their_schemas(server):
    tools = {tool.name: tool for tool in server.tools}
    assert set(tools) == {"add", "meet", "hang", "huge", "leak", "fail", "pid", "crash"}
    assert tools["add"].description == "Adds two numbers."
    assert tools["add"].parameters["required"] == ["a", "b"]


def test_call_returns_the_text(loop, server):
    assert loop.run(server.call("add", {"a": 2, "b": 3})) == "5"


def test_calls_run_at_once_over_one_session(loop, server):
    async def run():
        async with asyncio.timeout(5):
            return await asyncio.gather(*(server.call("meet", {"party": 8}) for _ in range(8)))

    assert loop.run(run()) == ["met"] * 8


def test_cancelled_call_leaves_the_session_usable(loop, server):
    async def run():
        call = asyncio.ensure_future(server.call("hang", {}))
        await asyncio.sleep(0.02)
        call.cancel()
        await asyncio.wait([call])
        return call.cancelled(), await server.call("add", {"a": 1, "b": 1})

    assert loop.run(run()) == (True, "2")


def test_error_of_the_tool_is_told(loop, server):
    assert "there is no city of this name" in loop.run(refusal(server, "fail"))


def test_arguments_that_do_not_fit_are_told(loop, server):
    assert "validation error" in loop.run(refusal(server, "add", {"a": "two"}))


def test_unknown_tool_is_told(loop, server):
    assert "nosuch" in loop.run(refusal(server, "nosuch"))


def test_secret_that_the_server_repeats_is_hidden(loop, server):
    assert loop.run(server.call("leak", {})) == "my token is [hidden]"


def test_secret_is_in_no_log_and_on_no_stream(loop, capfd, caplog):
    caplog.set_level(logging.INFO)

    async def run():
        fresh = stdio()
        await fresh.start()
        await fresh.call("leak", {})
        await fresh.stop()

    loop.run(run())
    assert "MCP server connected" in caplog.text
    assert CANARY not in caplog.text + "".join(capfd.readouterr())


def test_crash_fails_the_call_and_the_next_use_starts_the_server_again(loop, server, caplog):
    async def run():
        before = await server.call("pid", {})
        said = await refusal(server, "crash")
        return said, before, await server.call("pid", {})

    said, before, after = loop.run(run())
    assert said == "The server of this tool went away before it answered."
    assert before != after
    assert "MCP server went away" in caplog.text


def test_crash_between_calls_is_noticed_without_a_call(loop, server):
    async def run():
        pid = int(await server.call("pid", {}))
        os.kill(pid, 9)
        await asyncio.wait_for(asyncio.shield(server._life), 5)
        return pid, int(await server.call("pid", {}))

    before, after = loop.run(run())
    assert before != after


def test_repeated_failure_is_retried_at_once_and_then_later(loop):
    async def run():
        gone = McpServer("gone", McpSettings(command=("/nonexistent/server",)), {})
        lives = []
        for _ in range(3):
            assert await refusal(gone, "x") == "The server of this tool is not available."
            lives.append(gone._life)
        return lives

    first, second, third = loop.run(run())
    assert first is not second
    assert second is third


def test_server_that_does_not_shake_hands_is_given_up(loop, monkeypatch, caplog):
    monkeypatch.setattr("relay.limits.MCP_CONNECT_DEADLINE_S", 0.05)

    async def run():
        silent = McpServer("silent", McpSettings(command=("sleep", "9")), {})
        await silent.start()
        return silent.tools

    assert loop.run(run()) == ()
    assert [(record.message, record.error) for record in caplog.records] == [("MCP server failed", "TimeoutError")]


def test_stop_ends_the_process(loop):
    async def run():
        server = stdio()
        await server.start()
        pid = await server.call("pid", {})
        await server.stop()
        return pid

    assert not Path(f"/proc/{loop.run(run())}").exists()


def test_missing_variable_is_the_operators_mistake():
    with pytest.raises(ConfigError, match=r"mcp\.fake\.env\.FAKE_TOKEN: .* OUR_TOKEN is not set"):
        McpServer("fake", McpSettings(command=("x",), env={"FAKE_TOKEN": "OUR_TOKEN"}), {})


@asynccontextmanager
async def over_http():
    """The address of a streamable HTTP server on loopback, which repeats the header it got."""
    import uvicorn

    sys.path.insert(0, str(FAKE.parent))
    from mcp_tools import build

    served = uvicorn.Server(uvicorn.Config(build().streamable_http_app(), port=0, log_config=None, lifespan="on"))
    task = asyncio.ensure_future(served.serve())
    while not served.started:  # noqa: ASYNC110 - uvicorn has no event to wait for
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{served.servers[0].sockets[0].getsockname()[1]}/mcp"
    finally:
        served.should_exit = True
        await task


def test_server_over_http_answers_parallel_calls(loop):
    async def run():
        async with over_http() as url:
            server = McpServer("web", McpSettings(url=url, headers_env={"X-Key": "KEY"}), {"KEY": CANARY})
            await server.start()
            answers = await asyncio.gather(*(server.call("add", {"a": n, "b": n}) for n in range(8)))
            await server.stop()
            return answers

    assert loop.run(run()) == [str(2 * n) for n in range(8)]


def test_server_over_http_that_is_gone_fails_the_call(loop):
    async def run():
        async with over_http() as url:
            server = McpServer("web", McpSettings(url=url), {})
            await server.start()
            assert await server.call("add", {"a": 1, "b": 1}) == "2"
        said = await refusal(server, "add", {"a": 1, "b": 1})
        await server.stop()
        return said

    assert "server of this tool" in loop.run(run())


def result_of(*blocks, **members):
    from mcp.types import CallToolResult

    return CallToolResult.model_validate({"content": list(blocks), **members})


def test_texts_of_a_result_are_joined_and_other_media_named():
    result = result_of(
        {"type": "text", "text": "one"},
        {"type": "image", "data": "aGk=", "mimeType": "image/png"},
        {"type": "resource", "resource": {"uri": "file:///a", "text": "two"}},
        {"type": "resource_link", "uri": "file:///b", "name": "b"},
    )
    assert text_of(result) == "one\n[image left out]\ntwo\nfile:///b"


def test_structured_content_stands_in_for_missing_text():
    assert text_of(result_of(structuredContent={"a": 1})) == '{"a":1}'
    assert text_of(result_of({"type": "text", "text": "x"}, structuredContent={"a": 1})) == "x"


@pytest.mark.parametrize(
    ("code", "message", "lost"),
    [(-32000, "Connection closed", True), (-32600, "Session terminated", True), (-32602, "bad arguments", False)],
)
def test_only_some_errors_mean_that_the_connection_is_lost(code, message, lost):
    from mcp import MCPError

    assert is_connection_lost(MCPError(code, message)) is lost
