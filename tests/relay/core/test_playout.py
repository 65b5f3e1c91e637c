"""What was heard: never less than nothing, never more than was sent."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.core.playout import Playout


def test_audio_is_heard_as_time_passes() -> None:
    playout = Playout()
    playout.sent("a", "r", 1000.0, now=10.0)
    assert round(playout.heard_ms("a", 10.4)) == 400
    assert playout.heard_ms("a", 20.0) == 1000.0


def test_audio_faster_than_real_time_waits_in_the_player() -> None:
    playout = Playout()
    for _ in range(10):
        playout.sent("a", "r", 500.0, now=0.0)
    assert round(playout.heard_ms("a", 2.0)) == 2000
    assert playout.lead_ms(2.0) == 3000.0


def test_second_item_is_heard_after_the_first() -> None:
    playout = Playout()
    playout.sent("a", "r", 1000.0, now=0.0)
    playout.sent("b", "r", 1000.0, now=0.0)
    assert playout.heard_ms("b", 0.9) == 0.0
    assert round(playout.heard_ms("b", 1.5)) == 500
    assert [item for item, _ in playout.playing(0.5)] == ["a", "b"]
    assert [item for item, _ in playout.playing(1.5)] == ["b"]


def test_gap_in_the_stream_does_not_count_as_heard() -> None:
    playout = Playout()
    playout.sent("a", "r", 200.0, now=0.0)
    playout.sent("a", "r", 200.0, now=5.0)
    assert round(playout.heard_ms("a", 5.1)) == 300


def test_flush_freezes_what_was_heard() -> None:
    playout = Playout()
    playout.sent("a", "r", 3000.0, now=0.0)
    playout.flush(1.0)
    assert round(playout.heard_ms("a", 50.0)) == 1000
    assert playout.playing(1.0) == []
    assert playout.ends_at == 1.0


def test_report_of_the_caller_is_believed_within_what_was_sent() -> None:
    playout = Playout()
    playout.sent("a", "r", 1000.0, now=0.0)
    playout.report("a", 432.0, 9.0)
    assert playout.heard_ms("a", 9.0) == 432.0
    playout.report("a", 99_999.0, 9.0)
    assert playout.heard_ms("a", 9.0) == 1000.0
    playout.report("a", -5.0, 9.0)
    assert playout.heard_ms("a", 9.0) == 0.0


def test_unknown_item_was_neither_sent_nor_heard() -> None:
    playout = Playout()
    playout.report("nobody", 10.0, 9.0)
    assert (playout.sent_ms("nobody"), playout.heard_ms("nobody", 1.0)) == (0.0, 0.0)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["send", "flush", "report", "wait"]),
        st.sampled_from(["a", "b", "c"]),
        st.floats(0.0, 3000.0),
    ),
    max_size=40,
)


@given(STEPS)
def test_heard_lies_between_nothing_and_sent_whatever_happens(steps: list[tuple[str, str, float]]) -> None:
    playout, now = Playout(), 0.0
    for step, item, amount in steps:
        if step == "send":
            playout.sent(item, "r", amount, now)
        elif step == "flush":
            playout.flush(now)
        elif step == "report":
            playout.report(item, amount * 2 - 1000, now)
        else:
            now += amount / 1000.0
        for each in "abc":
            assert 0.0 <= playout.heard_ms(each, now) <= playout.sent_ms(each)
