"""What waits for a socket that does not drain, and what becomes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from relay import limits
from relay.net.line import Line
from relay.net.outbox import CALLER_BOUNDS, Bounds, Outbox
from relay.net.tasks import running
from tests.fakes.scripted_line import ScriptedLine

SMALL = Bounds(size_bytes=1_000, audio_ms=200.0, sheds=False)
SHEDDING = Bounds(size_bytes=1_000, audio_ms=200.0, sheds=True)


def outbox(line: ScriptedLine, bounds: Bounds = SMALL, told: list[bool] | None = None) -> Outbox:
    return Outbox(cast(Line, line), bounds, (told if told is not None else []).append)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def whole() -> None:
        await scenario
        for task in running():
            task.cancel()
        await asyncio.sleep(0)

    asyncio.run(whole())


async def turns(count: int = 3) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def test_message_goes_straight_to_a_socket_that_takes_it() -> None:
    line = ScriptedLine()
    outbox(line).send(b"now")  # no loop runs: nothing can have been awaited
    assert line.sent == [b"now"]


def test_order_is_kept_when_the_socket_drains_again() -> None:
    async def scenario() -> None:
        line = ScriptedLine(room_for=1)
        box = outbox(line)
        for n in range(5):
            box.send(b"%d" % n)
        await turns()
        assert line.sent == [b"0"]
        line.drain(2)
        await turns()
        box.send(b"5")
        assert line.sent == [b"0", b"1", b"2"]
        line.drain(100)
        await turns()
        assert line.sent == [b"%d" % n for n in range(6)]
        assert (box.waiting_bytes, box.waiting_ms) == (0, 0.0)

    run(scenario())


def test_flush_withdraws_waiting_audio_of_that_response_only() -> None:
    async def scenario() -> None:
        line = ScriptedLine(room_for=0)
        box = outbox(line)
        box.send(b"a1", audio_ms=20, response_id="a")
        box.send(b"a-transcript", response_id="a")
        box.send(b"b1", audio_ms=20, response_id="b")
        box.send(b"a2", audio_ms=20, response_id="a")
        assert box.flush("a") == 40
        line.drain(100)
        await turns()
        assert line.sent == [b"a-transcript", b"b1"]

    run(scenario())


def test_producer_is_stalled_at_the_bound_and_resumed_at_half() -> None:
    async def scenario() -> None:
        told: list[bool] = []
        line = ScriptedLine(room_for=0)
        box = outbox(line, SMALL, told)
        for _ in range(10):
            box.send(b"x", audio_ms=20)
        assert told == [True]
        assert box.full
        line.drain(4)
        await turns()
        assert told == [True]
        line.drain(1)
        await turns()
        assert told == [True, False]

    run(scenario())


def test_flushing_resumes_the_producer_too() -> None:
    async def scenario() -> None:
        told: list[bool] = []
        box = outbox(ScriptedLine(room_for=0), SMALL, told)
        box.send(bytes(2_000), audio_ms=20, response_id="a")
        box.flush("a")
        assert told == [True, False]

    run(scenario())


def test_stale_audio_for_a_model_is_dropped_oldest_first_and_counted() -> None:
    async def scenario() -> None:
        line = ScriptedLine(room_for=0)
        box = outbox(line, SHEDDING)
        box.send(b"commit")
        now = asyncio.get_running_loop().time
        start = now()
        box.send(b"old", audio_ms=20)
        while (later := now()) - start < 0.001:
            pass
        for n in range(2):
            box.send(b"%d" % n, audio_ms=20)
        box.look(start + 0.2)  # nothing has waited for longer than the bound
        assert box.dropped_ms == 0
        box.look(later + 0.2 - 1e-6)
        assert (box.dropped_ms, box.waiting_ms) == (20, 40)
        line.drain(100)
        await turns()
        assert line.sent == [b"commit", b"0", b"1"]

    run(scenario())


def test_clip_that_comes_at_once_reaches_the_model_whole() -> None:
    async def scenario() -> None:
        told: list[bool] = []
        line = ScriptedLine(room_for=1)
        box = outbox(line, SHEDDING, told)
        clip = [b"%d" % n for n in range(40)]
        for chunk in clip:
            box.send(chunk, audio_ms=1_000)
        box.look(asyncio.get_running_loop().time())
        line.drain(100)
        await turns()
        assert line.sent == clip
        assert (box.dropped_ms, told) == (0, [])

    run(scenario())


def test_producer_for_a_model_is_stalled_by_bytes() -> None:
    async def scenario() -> None:
        told: list[bool] = []
        line = ScriptedLine(room_for=0)
        box = outbox(line, SHEDDING, told)
        box.send(bytes(2_000))
        box.send(bytes(2_000), audio_ms=20)
        assert told == [True]
        line.drain(2)
        await turns()
        assert told == [True, False]
        assert len(line.sent) == 2

    run(scenario())


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 400)), max_size=60))
def test_control_is_never_dropped_and_stale_audio_always(messages: list[tuple[bool, int]]) -> None:
    async def scenario() -> None:
        line = ScriptedLine(room_for=0)
        box = outbox(line, SHEDDING)
        for n, (is_audio, size) in enumerate(messages):
            box.send(b"%d " % n + bytes(size), audio_ms=20.0 if is_audio else 0.0)
        box.look(asyncio.get_running_loop().time() + 1.0)
        line.drain(1_000)
        await turns()
        numbers = [int(sent.split(b" ")[0]) for sent in line.sent]
        assert numbers == [n for n, (is_audio, _) in enumerate(messages) if not is_audio]

    run(scenario())


def test_overrun_is_reported_when_stalling_did_not_help() -> None:
    async def scenario() -> None:
        box = outbox(ScriptedLine(room_for=0))
        box.send(bytes(2_000))
        assert not box.overrun
        box.send(b"x")
        assert box.overrun

    run(scenario())


def test_lost_connection_ends_the_waiting() -> None:
    async def scenario() -> None:
        line = ScriptedLine(room_for=0)
        box = outbox(line)
        box.send(b"x")
        await turns()
        line.die()
        await box.emptied()
        box.send(b"y")
        assert line.sent == []
        assert box.waiting_bytes == 0

    run(scenario())


def test_closed_outbox_swallows_what_it_is_given() -> None:
    line = ScriptedLine()
    box = outbox(line)
    box.close()
    box.send(b"x")
    assert line.sent == []


def test_peer_that_takes_nothing_is_found_at_the_write_deadline() -> None:
    line = ScriptedLine()
    box = outbox(line, CALLER_BOUNDS)
    box.send(bytes(100))
    line.stuck_bytes = 100
    assert not box.look(10.0)
    assert not box.look(10.0 + limits.WRITE_DEADLINE_S - 0.1)
    assert box.look(10.0 + limits.WRITE_DEADLINE_S)


def test_peer_that_takes_a_little_is_left_alone() -> None:
    line = ScriptedLine()
    box = outbox(line, CALLER_BOUNDS)
    box.send(bytes(1_000))
    line.stuck_bytes = 1_000
    for n in range(100):
        line.stuck_bytes -= 1
        assert not box.look(n * limits.WRITE_DEADLINE_S / 2)


def test_quiet_connection_is_not_mistaken_for_a_stuck_one() -> None:
    box = outbox(ScriptedLine(), CALLER_BOUNDS)
    assert not box.look(0.0)
    assert not box.look(1_000.0)
