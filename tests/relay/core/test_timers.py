from __future__ import annotations

from relay.core.timers import Timers


def test_next_is_the_earliest() -> None:
    timers = Timers()
    assert timers.next is None
    timers.set("b", 2.0)
    timers.set("a", 1.0)
    assert timers.next == 1.0
    timers.set("a", 3.0)
    assert timers.next == 2.0
    timers.clear("b")
    assert timers.next == 3.0


def test_due_names_come_in_order_and_once() -> None:
    timers = Timers()
    timers.set("b", 2.0)
    timers.set("a", 1.0)
    timers.set("c", 9.0)
    assert timers.due(0.5) == []
    assert timers.due(2.0) == ["a", "b"]
    assert timers.due(2.0) == []
    assert timers.armed("c")
    assert not timers.armed("a")


def test_clearing_what_is_not_set_does_nothing() -> None:
    timers = Timers()
    timers.clear("x")
    assert timers.next is None
