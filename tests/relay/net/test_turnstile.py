"""One event after another."""

from __future__ import annotations

import pytest

from relay import limits
from relay.net.turnstile import Turnstile


def test_item_added_while_another_is_handled_waits_for_its_end() -> None:
    done: list[str] = []

    def step(item: str) -> None:
        done.append(f"{item} begins")
        if item == "a":
            turnstile.add("b")
        done.append(f"{item} ends")

    turnstile = Turnstile(step)
    turnstile.add("a")
    assert done == ["a begins", "a ends", "b begins", "b ends"]


def test_items_that_cause_each_other_without_end_are_a_fault() -> None:
    def step(_item: int) -> None:
        for n in range(limits.MAX_PENDING_EVENTS + 1):
            turnstile.add(n)

    turnstile = Turnstile(step)
    with pytest.raises(RuntimeError, match="without end"):
        turnstile.add(0)


def test_fault_forgets_what_waited_and_leaves_the_turnstile_open() -> None:
    done: list[str] = []

    def step(item: str) -> None:
        if item == "bad":
            turnstile.add("waits behind bad")
            raise ValueError
        done.append(item)

    turnstile = Turnstile(step)
    with pytest.raises(ValueError):  # noqa: PT011
        turnstile.add("bad")
    turnstile.add("next")
    assert done == ["next"]
