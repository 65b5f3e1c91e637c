"""The short form of `python -m bench.sessions`: sessions with the real local agent leave nothing behind."""

from bench.sessions import grown, measure


def test_sessions_one_after_the_other_leave_nothing_behind() -> None:
    before, after, _ = measure(count=40, warm_up=20)
    assert not grown(before, after), (before, after)
