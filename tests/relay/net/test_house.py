"""What all calls share."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.fakes.running_relay import Relay, said, with_relay


def test_call_is_listed_while_it_lives_and_the_house_knows_when_it_is_empty(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        assert relay.house.empty.is_set()
        async with relay.openai() as socket:
            await said(socket, "session.created")
            assert len(relay.house.calls) == 1
            assert not relay.house.empty.is_set()
        async with asyncio.timeout(1):
            await relay.house.empty.wait()
        assert not relay.house.calls

    with_relay(tmp_path, scenario)


def test_revoking_somebody_else_leaves_a_call_alone(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        async with relay.openai() as socket:
            await said(socket, "session.created")
            relay.house.revoke({"tok_other": 2_000_000_000})
            ((call, _),) = relay.house.calls.items()
            assert call.reason is None

    with_relay(tmp_path, scenario)
