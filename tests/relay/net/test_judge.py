"""The judge's thread: every question gets one answer, in order, on the event loop, whatever happens."""

import asyncio
import logging
import math
import threading

import numpy as np
import pytest

from relay import limits
from relay.audio.vad import WINDOW_BYTES, WINDOW_SAMPLES, SileroBatch, find_model
from relay.net.judge import SpeechJudge

RANDOM = np.random.default_rng(3)


def sound(windows):
    return RANDOM.integers(-3_000, 3_000, windows * WINDOW_SAMPLES).astype("<i2").tobytes()


def judged_alone(pcm):
    network = SileroBatch(find_model())
    row = network.open_row()
    return [float(network.judge([row], window[None])[0]) for window in np.frombuffer(pcm, "<i2").reshape(-1, 512)]


class Caller:
    """Asks, and keeps the answers with the thread they came on."""

    def __init__(self, judge, key):
        self.judge, self.key = judge, key
        self.answers = []
        self.threads = set()
        self.asked = 0
        self._all_here = asyncio.Event()
        judge.open(key, self._hear)

    def ask(self, pcm, fresh=False):
        count = len(pcm) // WINDOW_BYTES
        self.judge.submit(self.key, self.asked, pcm, fresh)
        self.asked += count

    def _hear(self, answer):
        self.answers.append(answer)
        self.threads.add(threading.current_thread())
        if sum(len(answer.probabilities) for answer in self.answers) == self.asked:
            self._all_here.set()

    async def all_answers(self):
        await asyncio.wait_for(self._all_here.wait(), 30)
        self._all_here.clear()
        return self.answers

    @property
    def probabilities(self):
        return [probability for answer in self.answers for probability in answer.probabilities]


def with_judge(scenario, model=None):
    async def run():
        judge = SpeechJudge(model)
        judge.start()
        try:
            return await scenario(judge)
        finally:
            judge.stop()

    return asyncio.run(run())


def test_questions_are_answered_in_order_as_if_the_caller_were_alone():
    pcm = [sound(12), sound(7)]

    async def scenario(judge):
        callers = [Caller(judge, "a"), Caller(judge, "b")]
        for caller, samples in zip(callers, pcm, strict=True):
            caller.ask(samples[: 3 * WINDOW_BYTES], fresh=True)
            for at in range(3 * WINDOW_BYTES, len(samples), 2 * WINDOW_BYTES):
                caller.ask(samples[at : at + 2 * WINDOW_BYTES])
        for caller, samples in zip(callers, pcm, strict=True):
            answers = await caller.all_answers()
            assert [answer.first_window for answer in answers][:3] == [0, 3, 5]
            assert np.abs(np.array(caller.probabilities) - judged_alone(samples)).max() < 1e-5
            assert caller.threads == {threading.main_thread()}

    with_judge(scenario)


def test_fresh_forgets_what_was_heard_before():
    pcm = sound(5)

    async def scenario(judge):
        caller = Caller(judge, "a")
        caller.ask(sound(20), fresh=True)
        caller.ask(pcm, fresh=True)
        await caller.all_answers()
        assert np.abs(np.array(caller.probabilities[20:]) - judged_alone(pcm)).max() < 1e-5

    with_judge(scenario)


def test_the_thread_begins_with_the_first_question_and_ends_with_stop():
    before = threading.active_count()

    async def scenario(judge):
        caller = Caller(judge, "a")
        assert threading.active_count() == before
        caller.ask(sound(1), fresh=True)
        assert threading.active_count() == before + 1
        await caller.all_answers()

    with_judge(scenario)
    assert threading.active_count() == before


def test_a_closed_call_hears_nothing_more_and_its_place_is_used_again():
    pcm = sound(4)

    async def scenario(judge):
        gone = Caller(judge, "gone")
        gone.ask(sound(2), fresh=True)
        await gone.all_answers()
        gone.ask(sound(200))
        judge.close("gone")
        assert judge.waiting_windows == 0
        reopened = Caller(judge, "gone")
        reopened.ask(pcm, fresh=True)
        await reopened.all_answers()
        assert np.abs(np.array(reopened.probabilities) - judged_alone(pcm)).max() < 1e-5
        assert len(gone.answers) == 1

    with_judge(scenario)


def test_a_question_of_nobody_is_ignored():
    async def scenario(judge):
        judge.close("nobody")
        judge.submit("nobody", 0, sound(1), True)
        assert judge.waiting_windows == 0

    with_judge(scenario)


def test_a_full_backlog_is_answered_undecided_in_its_turn_and_said_once(monkeypatch, caplog):
    monkeypatch.setattr(limits, "JUDGE_BACKLOG_WINDOWS", 100)
    monkeypatch.setattr(limits, "JUDGE_SHARE_WINDOWS", 5)
    pcm = sound(90)

    async def scenario(judge):
        greedy, modest = Caller(judge, "greedy"), Caller(judge, "modest")
        greedy.ask(pcm, fresh=True)
        greedy.ask(sound(50))
        greedy.ask(sound(50))
        modest.ask(sound(4), fresh=True)
        modest.ask(sound(1))
        modest.ask(sound(20))
        answers = await greedy.all_answers()
        await modest.all_answers()
        assert [answer.first_window for answer in answers] == [0, 90, 140]
        assert [math.isnan(p) for p in greedy.probabilities] == [False] * 90 + [True] * 100
        assert [math.isnan(p) for p in modest.probabilities] == [False] * 5 + [True] * 20
        assert judge.waiting_windows == 0
        after = sound(3)
        modest.ask(after)  # it does not continue what was judged before
        await modest.all_answers()
        assert np.abs(np.array(modest.probabilities[25:]) - judged_alone(after)).max() < 1e-5

    with caplog.at_level(logging.WARNING):
        with_judge(scenario)
    assert [record.message for record in caplog.records] == ["speech judge overloaded, the gate decides meanwhile"]


@pytest.mark.parametrize("content", [None, b"not a model"], ids=["missing", "broken"])
def test_without_a_network_every_answer_is_undecided_and_the_log_says_so(tmp_path, caplog, content):
    model = tmp_path / "model.onnx"
    if content is not None:
        model.write_bytes(content)

    async def scenario(judge):
        assert judge.available is (content is not None)
        caller = Caller(judge, "a")
        caller.ask(sound(3), fresh=True)
        [answer] = await caller.all_answers()
        assert all(math.isnan(probability) for probability in answer.probabilities)

    with caplog.at_level(logging.WARNING):
        with_judge(scenario, model)
    assert [("the gate alone" in record.message) for record in caplog.records] == [True]


def test_a_network_that_fails_is_given_up_and_callers_still_get_answers(monkeypatch, caplog):
    def fail(self, rows, windows):
        raise RuntimeError("secret detail")

    monkeypatch.setattr(SileroBatch, "judge", fail)

    async def scenario(judge):
        caller = Caller(judge, "a")
        caller.ask(sound(2), fresh=True)
        caller.ask(sound(1))
        await caller.all_answers()
        assert all(math.isnan(probability) for probability in caller.probabilities)

    with caplog.at_level(logging.ERROR):
        with_judge(scenario)
    assert len(caplog.records) == 1
    assert "secret" not in caplog.text


def test_callers_that_ask_at_once_share_a_step(monkeypatch):
    batches = []
    real = SileroBatch.judge
    monkeypatch.setattr(SileroBatch, "judge", lambda self, rows, w: batches.append(len(rows)) or real(self, rows, w))

    async def scenario(judge):
        callers = [Caller(judge, str(n)) for n in range(20)]
        for caller in callers:
            caller.ask(sound(1), fresh=True)
        await asyncio.gather(*(caller.all_answers() for caller in callers))

    with_judge(scenario)
    assert sum(batches) == 20
    assert max(batches) > 10


def test_a_loop_that_was_closed_without_stop_ends_the_thread():
    async def scenario():
        judge = SpeechJudge()
        judge.start()
        judge.open("a", lambda answer: None)
        judge.submit("a", 0, sound(50), True)
        return judge

    judge = asyncio.run(scenario())
    judge._thread.join(30)
    assert not judge._thread.is_alive()
