"""Against a real endpoint on loopback."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from relay import limits
from relay.config import ToolSettings
from relay.errors import ConfigError
from relay.net.tools.answer import ToolFailed
from relay.net.tools.http import HttpTools, query_of

CANARY = "Bearer canary-5f1c"


async def echo(request: web.Request) -> web.Response:
    body = await request.json() if request.can_read_body else None
    key = request.headers.get("X-Key")
    return web.json_response(
        {"method": request.method, "query": list(request.query.items()), "body": body, "key": key}
    )


async def status(request: web.Request) -> web.Response:
    return web.Response(status=int(request.match_info["code"]), text="no such city", headers={"Location": "/echo"})


async def huge(_: web.Request) -> web.Response:
    return web.Response(text="é" * limits.MAX_TOOL_OUTPUT_BYTES)


async def binary(_: web.Request) -> web.Response:
    return web.Response(body=b"\x89PNG\xff\xfe")


async def cookie(request: web.Request) -> web.Response:
    answer = web.Response(text=f"{len(request.cookies)} cookies")
    answer.set_cookie("who", "the last caller")
    return answer


@asynccontextmanager
async def endpoint():
    """The address of a running endpoint."""
    app = web.Application()
    app.add_routes([
        web.route("*", "/echo", echo), web.route("*", "/status/{code}", status), web.route("*", "/huge", huge),
        web.route("*", "/binary", binary), web.route("*", "/cookie", cookie),
    ])
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def ask(path, arguments=None, times=1, **settings):
    """The answer of the last of some calls, or the words of the `ToolFailed`."""

    async def run():
        async with endpoint() as base:
            tools = HttpTools(
                {"t": ToolSettings(url=base + path, headers_env={"X-Key": "KEY"}, **settings)}, {"KEY": CANARY}
            )
            await tools.start()
            try:
                for _ in range(times):
                    answer = await tools.call("t", arguments or {})
                return answer
            except ToolFailed as error:
                return error
            finally:
                await tools.stop()

    return asyncio.run(run())


def test_post_sends_the_arguments_as_json():
    assert '"method": "POST", "query": [], "body": {"city": "Paris"}' in ask("/echo", {"city": "Paris"})


def test_get_sends_the_arguments_as_query():
    answer = ask("/echo", {"city": "Paris", "days": [1, 2], "metric": True, "none": None}, method="GET")
    assert '"query": [["city", "Paris"], ["days", "1"], ["days", "2"], ["metric", "true"]], "body": null' in answer


def test_header_from_the_environment_is_sent_but_not_shown():
    answer = ask("/echo")
    assert '"key": "[hidden]"' in answer
    assert "canary" not in answer


def test_refusal_is_told_to_the_model():
    refused = ask("/status/404")
    assert isinstance(refused, ToolFailed)
    assert str(refused) == "The tool refused the call (HTTP 404). no such city"


@pytest.mark.parametrize("code", [500, 503, 302, 307])
def test_breakage_or_redirect_fails_without_the_body(code):
    assert str(ask(f"/status/{code}")) == f"The tool failed (HTTP {code})."


def test_huge_body_is_read_to_the_bound_and_not_further():
    body, notice = ask("/huge").split("\n")
    assert limits.MAX_TOOL_OUTPUT_BYTES - 100 < len(body.encode()) < limits.MAX_TOOL_OUTPUT_BYTES
    assert set(body) == {"é"}
    assert notice.startswith("[cut: ")


def test_binary_body_fails():
    assert str(ask("/binary")) == "The tool returned something other than text."


def test_cookie_of_one_call_is_not_sent_with_the_next():
    assert ask("/cookie", times=2) == "0 cookies"


def test_unreachable_host_fails_without_naming_it():
    async def run():
        tools = HttpTools({"t": ToolSettings(url="http://127.0.0.1:1/key")}, {})
        await tools.start()
        try:
            await tools.call("t", {})
        finally:
            await tools.stop()

    with pytest.raises(ToolFailed, match=r"^The tool could not be reached\.$"):
        asyncio.run(run())


def test_call_after_stop_fails():
    with pytest.raises(ToolFailed, match="not available"):
        asyncio.run(HttpTools({"t": ToolSettings(url="http://127.0.0.1:1/")}, {}).call("t", {}))


def test_address_that_is_not_http_is_the_operators_mistake():
    with pytest.raises(ConfigError, match=r"tools\.t\.url"):
        HttpTools({"t": ToolSettings(url="file:///etc/passwd")}, {})


def test_nested_argument_is_json_in_a_query():
    assert query_of({"a": {"b": 1}}) == [("a", '{"b":1}')]
