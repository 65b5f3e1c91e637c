"""The books: every call answered once, every batch continued once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay import limits
from relay.core.tools import ToolLedger, Verdict
from relay.events import ToolCalled


def call(call_id: str, name: str = "mine", response: str = "r1", arguments: str = "{}") -> ToolCalled:
    return ToolCalled(response, f"item_{call_id}", call_id, name, arguments)


def ledger(**deadlines: float) -> ToolLedger:
    return ToolLedger(frozenset({"server"}), deadlines)


def test_server_tool_is_run_and_callers_tool_is_passed() -> None:
    books = ledger()
    assert books.called(call("a", "server"), 0.0) is Verdict.RUN
    assert books.called(call("b"), 0.0) is Verdict.PASS


def test_call_announced_twice_is_one_call() -> None:
    books = ledger()
    books.called(call("a", "server"), 0.0)
    assert books.called(call("a", "server"), 0.0) is Verdict.SWALLOW
    assert books.issued == 1


def test_second_output_of_a_call_is_refused() -> None:
    books = ledger()
    books.called(call("a"), 0.0)
    assert books.answer("a")
    assert not books.answer("a")


def test_output_of_an_unknown_call_is_let_through() -> None:
    assert ledger().answer("replayed_history"), "a caller may hand in history that this session never saw"


def test_nothing_is_owed_before_the_response_is_done_and_all_outputs_are_there() -> None:
    books = ledger()
    books.called(call("a", "server"), 0.0)
    books.called(call("b", "server", arguments='{"x":1}'), 0.0)
    books.answer("a")
    books.response_finished("r1")
    assert not books.owes()
    books.answer("b")
    assert books.owes()


def test_any_answer_that_begins_afterwards_pays() -> None:
    books = ledger()
    books.called(call("a", "server"), 0.0)
    books.answer("a")
    books.response_finished("r1")
    books.response_started(asked=False)
    assert not books.owes()


def test_answer_that_began_before_the_output_does_not_pay() -> None:
    books = ledger()
    books.called(call("a", "server"), 0.0)
    books.response_finished("r1")
    books.response_started(asked=False)
    books.answer("a")
    assert books.owes()


def test_caller_continues_its_own_batches() -> None:
    books = ledger()
    books.called(call("a"), 0.0)
    books.response_finished("r1")
    books.answer("a")
    assert not books.owes()
    assert books.requested(busy=False) is Verdict.PASS


def test_mixed_batch_waits_for_the_server_tool_after_the_caller_asked() -> None:
    books = ledger()
    books.called(call("a"), 0.0)
    books.called(call("b", "server"), 0.0)
    books.response_finished("r1")
    books.answer("a")
    assert books.requested(busy=False) is Verdict.HOLD
    books.answer("b")
    assert books.owes()


def test_request_for_what_was_continued_already_is_swallowed_once() -> None:
    books = ledger()
    books.called(call("a"), 0.0)
    books.response_finished("r1")
    books.answer("a", synthetic=True)
    books.response_started(asked=False)
    assert books.requested(busy=True) is Verdict.SWALLOW


def test_deadlines_are_per_tool() -> None:
    books = ledger(server=2.0)
    books.called(call("a", "server"), 100.0)
    books.called(call("b"), 100.0)
    assert books.deadline() == 102.0
    assert [each.call_id for each in books.overdue(102.0)] == ["a"]
    books.answer("a")
    assert books.deadline() == 100.0 + limits.TOOL_DEADLINE_S


def test_same_call_is_refused_after_the_limit_until_the_caller_speaks() -> None:
    books = ledger()
    verdicts = [books.called(call(f"c{n}", "server", f"r{n}"), 0.0) for n in range(limits.TOOL_REPEAT_LIMIT + 1)]
    assert verdicts == [Verdict.RUN] * limits.TOOL_REPEAT_LIMIT + [Verdict.REPEATED]
    assert books.looped
    books.caller_spoke()
    assert books.called(call("again", "server", "r99"), 0.0) is Verdict.RUN


def test_chain_of_different_calls_is_bounded_too() -> None:
    books = ledger()
    for n in range(limits.TOOL_CHAIN_LIMIT):
        assert books.called(call(f"c{n}", "server", f"r{n}", f'{{"n":{n}}}'), 0.0) is Verdict.RUN
        books.answer(f"c{n}")
        books.continued()
    assert books.called(call("last", "server", "rl", '{"n":-1}'), 0.0) is Verdict.REPEATED


@given(st.lists(st.tuples(st.sampled_from(["call", "answer", "done", "start"]), st.integers(0, 5)), max_size=60))
def test_answered_never_exceeds_issued_and_waiting_is_the_difference(steps: list[tuple[str, int]]) -> None:
    books = ledger()
    for step, n in steps:
        if step == "call":
            books.called(call(f"c{n}", "server" if n % 2 else "mine", f"r{n // 2}"), 0.0)
        elif step == "answer" and books.find(f"c{n}") is not None:
            books.answer(f"c{n}")
        elif step == "done":
            books.response_finished(f"r{n}")
        elif step == "start":
            books.response_started(asked=False)
        assert books.issued - books.answered == len(books.waiting())
