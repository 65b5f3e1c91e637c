"""A timer that follows a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from unittest.mock import patch

from relay.net.alarm import Alarm


class ManualLoop:
    """A loop whose clock the test moves; counts how many timers were made."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None], asyncio.TimerHandle | None]] = []
        self.made = 0

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, ring: Callable[[], None]) -> ManualTimer:
        self.made += 1
        timer = ManualTimer(self, when, ring)
        self.timers.append(timer)  # type: ignore[arg-type]
        return timer

    def advance(self, now: float) -> None:
        self.now = now
        for timer in list(self.timers):
            if timer.when <= now:  # type: ignore[attr-defined]
                self.timers.remove(timer)
                timer.ring()  # type: ignore[attr-defined]


class ManualTimer:
    def __init__(self, loop: ManualLoop, when: float, ring: Callable[[], None]) -> None:
        self.loop, self.when, self.ring = loop, when, ring

    def cancel(self) -> None:
        self.loop.timers.remove(self)  # type: ignore[arg-type]


def made() -> tuple[ManualLoop, Alarm, list[float]]:
    loop = ManualLoop()
    rung: list[float] = []
    with patch("asyncio.get_running_loop", return_value=loop):
        alarm = Alarm(lambda: rung.append(loop.now))
    return loop, alarm, rung


def test_alarm_rings_once_at_its_deadline() -> None:
    loop, alarm, rung = made()
    alarm.set(5.0)
    loop.advance(4.9)
    assert not rung
    loop.advance(5.0)
    loop.advance(9.0)
    assert rung == [5.0]


def test_deadline_that_moves_away_costs_no_timer_and_is_kept() -> None:
    loop, alarm, rung = made()
    for n in range(100):
        alarm.set(5.0 + n / 100)
    assert loop.made == 1
    loop.advance(5.0)
    assert not rung
    loop.advance(5.99)
    assert rung == [5.99]


def test_earlier_deadline_replaces_the_later_one() -> None:
    loop, alarm, rung = made()
    alarm.set(5.0)
    alarm.set(1.0)
    loop.advance(1.0)
    assert rung == [1.0]
    loop.advance(6.0)
    assert rung == [1.0]


def test_alarm_without_a_deadline_leaves_no_timer() -> None:
    loop, alarm, rung = made()
    alarm.set(5.0)
    alarm.set(None)
    assert not loop.timers
    loop.advance(6.0)
    assert not rung
