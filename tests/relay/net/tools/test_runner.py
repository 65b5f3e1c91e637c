"""Every call is answered once, whatever the tool does; names are stable."""

import asyncio
import json
import sys
from pathlib import Path

import pytest

from relay import limits
from relay.config import Config
from relay.events import ToolAnswered
from relay.net.tools.runner import ToolRunner, wire_name
from relay.nouns import Tool

FAKE = Path(__file__).parents[3] / "fakes" / "mcp_tools.py"
FAKE_SERVER = {"command": [sys.executable, str(FAKE)]}
AGENT = ("add", "mcp:one", "mcp:two")


@pytest.fixture(scope="module")
def loop():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def runner(loop):
    """An HTTP tool named like one of the servers' tools, and the same MCP server twice."""
    runner = ToolRunner(
        Config.model_validate({
            "tools": {"add": {"url": "http://127.0.0.1:1/"}},
            "mcp": {"one": FAKE_SERVER, "two": FAKE_SERVER | {"allow": ["add", "hang"], "deadline_s": 0.2}},
        }),
        {},
    )
    loop.run(runner.start())
    offered(loop, runner)
    yield runner
    loop.run(runner.stop())


def offered(loop, runner, agent=AGENT) -> list[str]:
    """Names of what an agent is offered."""

    async def run():
        return [tool.name for tool in runner.tools_of(agent)]

    return loop.run(run())


def answer(loop, runner, name, arguments="{}", agent=AGENT) -> ToolAnswered:
    """The one answer to a call."""

    async def run():
        answers = []
        await runner.run("call_1", name, arguments, answers.append, agent)
        (only,) = answers
        return only

    return loop.run(run())


def error_of(answered: ToolAnswered) -> str:
    assert answered.failed
    return json.loads(answered.output)["error"]


def test_name_that_is_taken_gets_the_servers_name_in_front(loop, runner):
    own = ["meet", "hang", "huge", "leak", "fail", "pid", "crash"]
    assert offered(loop, runner) == ["add", "one_add", *own, "two_add", "two_hang"]


def test_name_keeps_its_meaning_when_another_server_goes(loop, runner):
    agent = ("mcp:one", "mcp:two")
    before = offered(loop, runner, agent)
    one = runner._servers["one"]
    tools, one.tools = one.tools, ()
    try:
        assert offered(loop, runner, agent) == ["two_add", "two_hang"]
    finally:
        one.tools = tools
    assert offered(loop, runner, agent) == before


def test_tool_left_without_a_free_name_is_not_offered(loop, runner, caplog):
    two = runner._servers["two"]
    tools, two.tools = two.tools, (Tool("a.b"), Tool("a/b"), Tool("a:b"))
    try:
        assert offered(loop, runner, ("mcp:two",)) == ["a_b", "two_a_b"]
    finally:
        two.tools = tools
    assert "its name is taken" in caplog.text


def test_deadlines_come_from_the_configuration(loop, runner):
    async def run():
        return runner.deadlines_of(("add", "mcp:two"))

    assert loop.run(run()) == {"add": limits.TOOL_DEADLINE_S, "two_add": 0.2, "hang": 0.2}


def test_answer_carries_the_call_id(loop, runner):
    assert answer(loop, runner, "two_add", '{"a": 2, "b": 3}') == ToolAnswered("call_1", "5")


def test_run_returns_before_the_tool_has_answered(loop, runner):
    async def run():
        answers = []
        call = runner.run("call_1", "two_add", '{"a": 2, "b": 3}', answers.append, AGENT)
        at_once = list(answers)
        await call
        return at_once, answers

    assert loop.run(run()) == ([], [ToolAnswered("call_1", "5")])


def test_cancelled_call_is_not_answered(loop, runner):
    async def run():
        answers = []
        call = runner.run("call_1", "hang", "{}", answers.append, AGENT)
        await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait([call])
        return answers

    assert loop.run(run()) == []


def test_hanging_tool_is_answered_at_its_deadline(loop, runner):
    assert error_of(answer(loop, runner, "two_hang")) == "The tool did not answer within 0.2 seconds."


def test_crashing_server_is_answered_for(loop, runner):
    assert error_of(answer(loop, runner, "crash")) == "The server of this tool went away before it answered."


def test_huge_output_is_cut(loop, runner):
    answered = answer(loop, runner, "huge", '{"size": 300000}')
    assert not answered.failed
    assert len(answered.output.encode()) <= limits.MAX_TOOL_OUTPUT_BYTES
    assert answered.output.endswith("bytes]")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [("{", "not valid JSON"), ("[1]", "not a JSON object"), ('"x"', "not a JSON object"), ("[" * 9_999, "not valid")],
    ids=["broken", "list", "text", "deep"],
)
def test_arguments_that_are_no_json_object_are_told(loop, runner, arguments, message):
    assert message in error_of(answer(loop, runner, "two_add", arguments))


def test_no_arguments_are_an_empty_object(loop, runner):
    assert answer(loop, runner, "leak", "").output == "my token is none"


def test_tool_of_another_agent_is_unknown(loop, runner):
    assert error_of(answer(loop, runner, "add", agent=("mcp:two",))) == "There is no tool of this name."


def test_unreachable_endpoint_is_answered_for(loop, runner):
    assert error_of(answer(loop, runner, "add")) == "The tool could not be reached."


def test_exception_of_any_kind_is_answered_for_without_its_text(loop, runner, caplog):
    async def broken(name, arguments):
        raise RuntimeError("canary-91")

    original, runner._http.call = runner._http.call, broken
    try:
        answered = answer(loop, runner, "add")
    finally:
        runner._http.call = original
    assert error_of(answered) == "The tool failed."
    assert "canary-91" not in caplog.text


def test_call_in_flight_when_the_runner_stops_is_answered(loop):
    async def run():
        runner = ToolRunner(Config.model_validate({"mcp": {"one": FAKE_SERVER}}), {})
        await runner.start()
        runner.tools_of(("mcp:one",))  # as every session does first
        answers = []
        call = runner.run("call_1", "hang", "{}", answers.append, ("mcp:one",))
        await asyncio.sleep(0.01)
        await runner.stop()
        await call
        return answers

    (only,) = loop.run(run())
    assert only.failed


def test_name_with_other_letters_is_made_acceptable():
    assert wire_name("files.read/all") == "files_read_all"
    assert len(wire_name("x" * 100)) == 64
