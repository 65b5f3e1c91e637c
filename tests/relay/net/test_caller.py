"""The caller's leg: read at the pace that is allowed, ended in one of two ways."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from aiohttp import web

from relay import limits
from relay.errors import CloseReason
from relay.net.caller import CallerLeg
from relay.net.wire import PING, PONG, UNSENDABLE_CODES, masked_frame
from tests.fakes.raw_peer import RawPeer, raw_peer

Scenario = Callable[[RawPeer, CallerLeg, list[bytes]], Awaitable[None]]


def with_caller(scenario: Scenario, stall_s: float = 0.0, small: bool = False) -> None:
    """A raw peer at a caller's leg whose every message asks for a stall of `stall_s`."""

    async def whole() -> None:
        legs: asyncio.Queue[CallerLeg] = asyncio.Queue(maxsize=1)
        said: list[bytes] = []

        async def door(request: web.Request) -> web.StreamResponse:
            socket = web.WebSocketResponse(compress=False, decode_text=False)
            await socket.prepare(request)
            leg = CallerLeg(socket, lambda full: None)
            legs.put_nowait(leg)

            def hear(frame: bytes, binary: bool) -> float:
                said.append(frame)
                return stall_s

            codes.append(await leg.read(hear))
            return socket

        codes: list[int] = []
        app = web.Application()
        app.router.add_get("/", door)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            async with raw_peer(runner.addresses[0][1], "/", small=small) as peer:
                leg = await legs.get()
                await scenario(peer, leg, said)
                leg.abort()
                async with asyncio.timeout(2):
                    while not codes:  # noqa: ASYNC110
                        await asyncio.sleep(0.001)
        finally:
            await runner.cleanup()

    asyncio.run(whole())


@pytest.mark.parametrize("reason", CloseReason)
def test_every_reason_ends_the_socket_with_its_code_or_without_a_word(reason: CloseReason) -> None:
    async def scenario(peer: RawPeer, leg: CallerLeg, said: list[bytes]) -> None:
        leg.outbox.send(b"last words")
        hanging_up = asyncio.ensure_future(leg.hang_up(reason, ""))
        assert await peer.frame() == (1, b"last words")
        code = await peer.close_code()
        assert code == (1006 if reason.ws_code in UNSENDABLE_CODES else reason.ws_code)
        if code != 1006:
            await peer.say(code.to_bytes(2, "big"), 8)
        async with asyncio.timeout(1):
            await hanging_up

    with_caller(scenario)


def test_last_words_are_sent_before_the_close_frame_even_when_they_had_to_wait() -> None:
    async def scenario(peer: RawPeer, leg: CallerLeg, said: list[bytes]) -> None:
        sent = 0
        while leg._line.has_room:
            leg.outbox.send(bytes(10_000))
            sent += 1
        leg.outbox.send(b"last words")
        hanging_up = asyncio.ensure_future(leg.hang_up(CloseReason.DONE, ""))
        for _ in range(sent):
            await peer.frame()
        assert await peer.frame() == (1, b"last words")
        assert await peer.close_code() == 1000
        peer.reset()
        await hanging_up

    with_caller(scenario, small=True)


def test_hanging_up_does_not_wait_for_a_caller_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CLOSE_DEADLINE_S", 0.02)

    async def scenario(peer: RawPeer, leg: CallerLeg, said: list[bytes]) -> None:
        async with asyncio.timeout(1):
            await leg.hang_up(CloseReason.DONE, "")

    with_caller(scenario)


def test_stalled_caller_is_heard_again_after_its_time() -> None:
    async def scenario(peer: RawPeer, leg: CallerLeg, said: list[bytes]) -> None:
        await peer.send(masked_frame(b"a") + masked_frame(b"b"))
        await asyncio.sleep(0.02)
        assert said == [b"a"]
        await asyncio.sleep(0.05)
        assert said == [b"a", b"b"]

    with_caller(scenario, stall_s=0.05)


def test_held_caller_is_not_heard_when_its_stall_is_over_but_when_it_is_let_go() -> None:
    async def scenario(peer: RawPeer, leg: CallerLeg, said: list[bytes]) -> None:
        leg.hold(True)
        leg._stall(0.0)
        await peer.say(b"a")
        await asyncio.sleep(0.02)
        assert said == []
        leg.hold(False)
        assert said == [b"a"]

    with_caller(scenario)


def test_flood_of_pings_is_slowed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_MESSAGES_PER_S", 10)

    async def scenario(peer: RawPeer, leg: CallerLeg, said: list[bytes]) -> None:
        await peer.send(masked_frame(b"", PING) * 20 + masked_frame(b"after the flood"))
        for _ in range(10):
            assert await peer.frame() == (PONG, b"")
        await asyncio.sleep(0.02)
        assert not said

    with_caller(scenario)


def test_caller_that_neither_reads_nor_speaks_is_found_by_look() -> None:
    async def scenario(peer: RawPeer, leg: CallerLeg, said: list[bytes]) -> None:
        now = asyncio.get_running_loop().time()
        assert leg.look(now) is None
        while leg._line.has_room:
            leg.outbox.send(bytes(100_000))
        await asyncio.sleep(0.05)
        assert leg.look(now) is None
        assert leg.look(now + limits.WRITE_DEADLINE_S) is CloseReason.CALLER_STALLED

    with_caller(scenario, small=True)
