"""Leaving without cutting anybody short: what SIGTERM does (research/anchors.md B.4).

    at once                  /readyz says 503
    limits.DRAIN_ANNOUNCE_S  new callers get 503; calls end with 1012 when no turn is in progress, spread over
                             limits.DRAIN_SPREAD_S so that callers do not come back all at once
    limits.DRAIN_TURNS_S     turns in progress are ended too, spread as well
    limits.DRAIN_HARD_S      whatever still runs is aborted
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random

from relay import limits
from relay.errors import CloseReason
from relay.net.house import House
from relay.net.pump import Call

log = logging.getLogger("relay.drain")


async def drain(house: House, chance: Random) -> None:
    """Empty the house; returns when the last call is over, after limits.DRAIN_HARD_S at the latest."""
    loop = asyncio.get_running_loop()
    hard_end = loop.time() + limits.DRAIN_HARD_S
    log.info("draining", extra={"calls": len(house.calls)})
    house.admission.draining = True
    await asyncio.sleep(limits.DRAIN_ANNOUNCE_S)
    house.admission.refusing = True
    _spread(house, chance, Call.retire)
    if not await _emptied(house, limits.DRAIN_TURNS_S):
        _spread(house, chance, lambda call: call.end(CloseReason.GOING_AWAY))
        if not await _emptied(house, hard_end - loop.time()):
            log.warning("calls aborted", extra={"calls": len(house.calls)})
            abort(house)
            await _emptied(house, limits.CLOSE_DEADLINE_S)


def abort(house: House) -> None:
    """Drop every call now, without a word."""
    for call in list(house.calls):
        call.abort()


def _spread(house: House, chance: Random, action: Callable[[Call], None]) -> None:
    loop = asyncio.get_running_loop()
    for call in list(house.calls):
        loop.call_later(chance.uniform(0, limits.DRAIN_SPREAD_S), action, call)


async def _emptied(house: House, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await house.empty.wait()
    except TimeoutError:
        return False
    return True
