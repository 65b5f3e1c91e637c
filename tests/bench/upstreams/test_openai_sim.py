"""The simulated upstream, judged by the official client's own types."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter
from websockets.asyncio.client import ClientConnection, connect

from bench.upstreams.openai_sim import simulate

EVENT = TypeAdapter(RealtimeServerEvent)


def with_sim(mode: str, scenario: Callable[[ClientConnection], Awaitable[None]]) -> None:
    async def whole() -> None:
        ready: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        sim = asyncio.create_task(simulate("127.0.0.1", 0, mode, ready))
        async with connect(f"ws://127.0.0.1:{await ready}/v1/realtime?model=m") as socket, asyncio.timeout(5):
            await scenario(socket)
        sim.cancel()
        await asyncio.wait([sim])

    asyncio.run(whole())


async def until(socket: ClientConnection, kind: str) -> list[dict[str, Any]]:
    """All events up to one of this type; each must be what the official client expects."""
    seen: list[dict[str, Any]] = []
    while not seen or seen[-1]["type"] != kind:
        seen.append(json.loads(await socket.recv()))
        EVENT.validate_python(seen[-1])
    return seen


async def say(socket: ClientConnection, kind: str, **members: Any) -> None:
    await socket.send(json.dumps({"type": kind, **members}))


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def test_written_turn_is_answered_aloud_in_the_order_of_the_protocol() -> None:
    async def scenario(socket: ClientConnection) -> None:
        await until(socket, "session.created")
        await say(socket, "conversation.item.create", item=user("hello"))
        await until(socket, "conversation.item.done")
        await say(socket, "response.create")
        kinds = [event["type"] for event in await until(socket, "response.done")]
        assert kinds[:4] == ["response.created", "response.output_item.added", "conversation.item.added",
                             "response.content_part.added"]
        assert "response.output_audio.delta" in kinds
        assert kinds[-2:] == ["response.output_item.done", "response.done"]

    with_sim("talk", scenario)


def test_tool_is_called_when_the_caller_speaks_of_it() -> None:
    async def scenario(socket: ClientConnection) -> None:
        tools = [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}]
        await say(socket, "session.update", session={"type": "realtime", "tools": tools})
        await until(socket, "session.updated")
        await say(socket, "conversation.item.create", item=user("use the tool"))
        await say(socket, "response.create")
        done = (await until(socket, "response.done"))[-1]
        assert done["response"]["output"][0]["name"] == "look"

    with_sim("talk", scenario)


def test_cancelled_answer_ends_as_cancelled() -> None:
    async def scenario(socket: ClientConnection) -> None:
        await say(socket, "response.create")
        await until(socket, "response.created")
        await say(socket, "response.cancel")
        ends = await until(socket, "response.done")
        assert ends[-1]["response"]["status"] in ("cancelled", "completed")

    with_sim("talk", scenario)


@pytest.mark.parametrize(("kind", "code"), [
    ("nonsense", "invalid_value"), ("response.cancel", "response_cancel_not_active"),
    ("input_audio_buffer.commit", "input_audio_buffer_commit_empty")])
def test_wrong_request_is_an_error_event(kind: str, code: str) -> None:
    async def scenario(socket: ClientConnection) -> None:
        await say(socket, kind)
        assert (await until(socket, "error"))[-1]["error"]["code"] == code

    with_sim("talk", scenario)


def test_echo_answers_each_append_with_its_payload() -> None:
    async def scenario(socket: ClientConnection) -> None:
        payloads = [base64.b64encode(bytes([n]) * 960).decode() for n in range(5)]
        for payload in payloads:
            await say(socket, "input_audio_buffer.append", audio=payload)
        heard: list[str] = []
        while len(heard) < 5:
            heard.append((await until(socket, "response.output_audio.delta"))[-1]["delta"])
        assert heard == payloads

    with_sim("echo", scenario)


def test_pour_flows_without_being_asked() -> None:
    async def scenario(socket: ClientConnection) -> None:
        await say(socket, "session.update", session={"type": "realtime"})
        for _ in range(3):
            await until(socket, "response.output_audio.delta")

    with_sim("pour", scenario)
