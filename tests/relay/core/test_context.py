from __future__ import annotations

from relay.commands import ToCaller, ToModel
from relay.core.context import EARLY_EVENTS, Context
from relay.core.plan import Plan
from relay.events import AudioCleared, ClearRequested, Failed, Warned
from relay.nouns import Settings


def context(session_id: str = "sess_1") -> Context:
    return Context(Plan(session_id, Settings()))


def test_nothing_is_told_before_the_session_is_open_and_what_waits_is_bounded() -> None:
    shared = context()
    for _ in range(EARLY_EVENTS + 5):
        shared.warn("code", "text")
    assert shared.out == []
    assert shared.early == [Warned("code", "text")] * EARLY_EVENTS


def test_open_session_is_told_and_asked_in_order() -> None:
    shared = context()
    shared.opened = True
    shared.tell(AudioCleared())
    shared.ask(ClearRequested())
    assert shared.out == [ToCaller(AudioCleared()), ToModel(ClearRequested())]


def test_failure_carries_the_callers_own_id() -> None:
    shared = context()
    shared.fail("bad", "text", "audio", "event_1")
    event = shared.early[0]
    assert isinstance(event, Failed)
    assert (event.fault.code, event.fault.param, event.fault.request_id) == ("bad", "audio", "event_1")


def test_item_ids_are_unique_in_and_across_sessions() -> None:
    one, two = context("sess_1"), context("sess_2")
    ids = [one.new_item_id(), one.new_item_id(), two.new_item_id()]
    assert len(set(ids)) == 3
