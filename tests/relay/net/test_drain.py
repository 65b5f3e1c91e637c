"""Leaving without cutting anybody short."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from relay import limits
from relay.errors import CloseReason
from relay.net.drain import abort, drain
from tests.fakes.raw_peer import raw_peer
from tests.fakes.running_relay import KEY, Relay, get, said, say, with_relay


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in {"DRAIN_ANNOUNCE_S": 0.1, "DRAIN_SPREAD_S": 0.05, "DRAIN_TURNS_S": 0.6, "DRAIN_HARD_S": 1.2,
                          "CLOSE_DEADLINE_S": 0.1}.items():
        monkeypatch.setattr(limits, name, seconds)


def chance() -> random.Random:
    return random.Random(1)


def test_readiness_ends_at_once_and_callers_are_refused_after_the_announcement(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        assert (await get(relay, "/readyz"))[0] == 200
        draining = asyncio.ensure_future(drain(relay.house, chance()))
        await asyncio.sleep(0)
        assert (await get(relay, "/readyz"))[0] == 503
        assert (await get(relay, "/healthz"))[0] == 200
        async with relay.openai() as socket:
            await said(socket, "session.created")
            await asyncio.sleep(0.1)
            with pytest.raises(InvalidStatus) as refused:
                await relay.openai()
            assert refused.value.response.status_code == 503
            assert "Retry-After" in refused.value.response.headers
            await socket.wait_closed()
            assert socket.close_code == 1012
        await draining

    with_relay(tmp_path, scenario)


def test_answer_that_is_being_heard_is_let_finish_and_then_the_call_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DRAIN_TURNS_S", 60.0)
    monkeypatch.setattr(limits, "DRAIN_HARD_S", 60.0)

    async def scenario(relay: Relay) -> None:
        async with relay.openai() as socket:
            await said(socket, "session.created")
            item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
            await say(socket, "conversation.item.create", item=item)
            await say(socket, "response.create")
            await said(socket, "response.output_audio.delta")
            (call,) = relay.house.calls
            assert call.is_busy
            started = asyncio.get_running_loop().time()
            async with asyncio.timeout(5):
                await drain(relay.house, chance())
            assert asyncio.get_running_loop().time() - started > 0.2  # the answer lasts for 300 ms
            assert call.reason is CloseReason.GOING_AWAY
            done = await said(socket, "response.done")
            assert done["response"]["status"] == "completed"

    with_relay(tmp_path, scenario)


def test_turn_without_end_is_ended_at_its_limit_in_the_dialects_words(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai() as socket:
            await said(socket, "session.created")
            (call,) = relay.house.calls
            call._running["never"] = asyncio.get_running_loop().create_future()  # type: ignore[assignment]
            await drain(relay.house, chance())
            await socket.wait_closed()
            assert socket.close_code == 1012

    with_relay(tmp_path, scenario)


def test_caller_that_never_reads_does_not_keep_the_relay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(relay: Relay) -> None:
        path, headers = "/v1/realtime?model=local/agent", f"Authorization: Bearer {KEY}\r\n"
        async with raw_peer(relay.port, path, headers, small=True):
            while not relay.house.calls:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
            (call,) = relay.house.calls
            for _ in range(100):
                call.outbox.send(bytes(10_000))
            async with asyncio.timeout(2):
                await drain(relay.house, chance())
            assert not relay.house.calls

    with_relay(tmp_path, scenario)


def test_abort_drops_every_call_without_a_word(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai() as socket:
            await said(socket, "session.created")
            abort(relay.house)
            await socket.wait_closed()
            assert socket.close_code == 1006

    with_relay(tmp_path, scenario)
