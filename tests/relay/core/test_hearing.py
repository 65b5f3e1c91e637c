"""Turn detection on one caller's audio, with a scripted gate and a scripted judge.

A script has one letter for each window of 32 ms: what the gate hears, and with what probability the judge answers.

    .  quiet              n  noise: the gate opens, 0.1
    S  speech, 0.99       s  doubtful speech, 0.65       L  loud, but 0.1
"""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay import limits
from relay.audio.vad import WINDOW_BYTES, WINDOW_MS, Gate, Sound
from relay.core.hearing import PREROLL_WINDOWS, Hearing, JudgeNeeded, Offset, Onset
from relay.nouns import TurnDetection

SOUNDS = {".": Sound.QUIET, "n": Sound.POSSIBLE, "s": Sound.POSSIBLE, "S": Sound.LOUD, "L": Sound.LOUD}
PROBABILITIES = {".": 0.02, "n": 0.1, "s": 0.65, "S": 0.99, "L": 0.1}
DETECTION = TurnDetection(prefix_padding_ms=0, silence_duration_ms=160)  # five windows
HANGOVER = 6


class ScriptedGate(Gate):
    """Reads the letter off the samples."""

    def feed(self, frame: bytes) -> Sound:
        return SOUNDS[chr(frame[-2])]


def audio(script):
    return b"".join(np.full(512, ord(letter), "<i2").tobytes() for letter in script)


def probabilities(question):
    return [PROBABILITIES[chr(letter)] for letter in question.windows[::WINDOW_BYTES]]


class LateGate(ScriptedGate):
    """Opens three windows (five frames) late."""

    def __init__(self):
        super().__init__()
        self.heard = 0

    def feed(self, frame):
        sound = super().feed(frame)
        self.heard += sound is not Sound.QUIET
        return sound if self.heard > 5 else Sound.QUIET


class Call:
    """A caller whose judge answers after ``delay`` further chunks."""

    def __init__(self, detection=DETECTION, judged=True, delay=0, gate=None):
        self.hearing = Hearing(detection, judged, gate or ScriptedGate())
        self.delay = delay
        self.waiting = []
        self.asked = []
        self.turns = []

    def feed(self, script, chunk_bytes=WINDOW_BYTES):
        pcm = audio(script) if isinstance(script, str) else script
        for at in range(0, len(pcm), chunk_bytes):
            self._take(self.hearing.feed(pcm[at : at + chunk_bytes]))
            while len(self.waiting) > self.delay:
                self.answer()
        return self

    def answer(self):
        question = self.waiting.pop(0)
        self._take(self.hearing.judged(question.first_window, probabilities(question)))

    def finish(self):
        while self.waiting:
            self.answer()
        return self.turns

    def _take(self, findings):
        for finding in findings:
            if isinstance(finding, JudgeNeeded):
                self.waiting.append(finding)
                self.asked.append(finding)
            else:
                self.turns.append(finding)


def decisions(script, detection=DETECTION, **how):
    return Call(detection, **how).feed(script).finish()


# --- asking the judge


def test_silence_asks_nothing_and_decides_nothing():
    call = Call().feed("." * 100)
    assert call.asked == call.turns == []


def test_the_opening_gate_sends_the_windows_before_it_as_well():
    call = Call().feed("." * 50 + "n")
    [question] = call.asked
    assert question.first_window == 50 - PREROLL_WINDOWS
    assert question.windows == audio("." * PREROLL_WINDOWS + "n")
    assert question.fresh


def test_an_open_gate_sends_each_window_once_and_goes_on():
    call = Call().feed("nn" + "." * 20)
    assert [question.first_window for question in call.asked] == list(range(1 + HANGOVER))
    assert [question.fresh for question in call.asked] == [True] + [False] * HANGOVER


def test_a_gap_shorter_than_the_preroll_leaves_no_gap_for_the_judge():
    call = Call().feed("n" + "." * PREROLL_WINDOWS + "n")
    assert not call.asked[-1].fresh
    assert b"".join(question.windows for question in call.asked) == audio("n" + "." * PREROLL_WINDOWS + "n")


def test_a_longer_gap_makes_the_judge_forget():
    call = Call().feed("n" + "." * (HANGOVER + PREROLL_WINDOWS + 5) + "n")
    assert call.asked[-1].fresh


def test_windows_of_one_chunk_are_one_question():
    call = Call().feed("SSSSS", chunk_bytes=10 * WINDOW_BYTES)
    assert [len(question.windows) for question in call.asked] == [5 * WINDOW_BYTES]


# --- starts and ends


def test_two_probable_windows_start_a_turn():
    assert decisions("." * 20 + "SS") == [Onset(at_ms=22 * 32, start_ms=20 * 32 - 16)]


@pytest.mark.parametrize("script", ["S", "S.S.S", "sssss", "nnnnnnnnnn", "LLLLLLLLLL"])
def test_less_than_that_starts_none(script):
    assert decisions("." * 20 + script + "." * 20) == []


def test_the_start_lies_where_the_probability_rose():
    [onset] = decisions("." * 20 + "ssSS")
    assert onset.start_ms == 20 * 32 - 16
    assert onset.at_ms == 23 * 32  # (0.65 + 0.99) / 2 reaches 0.7


def test_padding_is_taken_off_the_start():
    [onset] = decisions("." * 20 + "SS", replace(DETECTION, prefix_padding_ms=300))
    assert onset.start_ms == 20 * 32 - 16 - 300


def test_a_start_is_never_before_the_first_audio():
    [onset] = decisions("SS", replace(DETECTION, prefix_padding_ms=300))
    assert onset.start_ms == 0


def test_speech_in_the_preroll_counts_and_is_known_when_the_gate_opened():
    call = Call(gate=LateGate()).feed("." * 20 + "SSSS")
    assert call.finish() == [Onset(at_ms=24 * 32, start_ms=20 * 32 - 16)]


def test_silence_ends_the_turn_and_belongs_to_it():
    assert decisions("SSSS" + "." * 20)[1:] == [Offset(end_ms=(4 + 5) * 32)]


def test_a_shorter_pause_does_not():
    assert decisions("SSSS...." + "SSSS") == [Onset(64, 0)]


def test_noise_after_speech_ends_the_turn_as_silence_does():
    assert decisions("SSSS" + "n" * 20)[1:] == [Offset(end_ms=(4 + 5) * 32)]


def test_doubtful_speech_keeps_a_turn_going_that_it_would_not_have_started():
    assert decisions("SSSS" + "s" * 20) == [Onset(64, 0)]


def test_a_single_probable_window_in_the_silence_does_not_keep_it_going():
    assert decisions("SSSS..S...")[1:] == [Offset(end_ms=9 * 32)]


def test_the_gate_closed_for_long_ends_the_turn_without_the_judge():
    long = replace(DETECTION, silence_duration_ms=(HANGOVER + 10) * 32)
    call = Call(long).feed("SSSS" + "." * 40)
    assert call.turns[1:] == [Offset(end_ms=(4 + HANGOVER + 10) * 32)]
    assert len(call.asked) == 4 + HANGOVER - 1


def test_the_next_turn_never_begins_inside_the_last_one():
    first, end, second = decisions("SS" + "." * 5 + "SS", replace(DETECTION, prefix_padding_ms=5_000))
    assert (first.start_ms, end.end_ms, second.start_ms) == (0, 7 * 32, 7 * 32)


# --- late, absent and overloaded judges


def test_windows_in_flight_hold_up_those_behind_them():
    call = Call(delay=1_000).feed("SSSS" + "." * 40)
    assert call.turns == []
    assert call.finish() == [Onset(64, 0), Offset(9 * 32)]


def test_without_a_judge_the_gate_decides_more_slowly_and_asks_nobody():
    call = Call(judged=False).feed("." * 20 + "L" * 8 + "." * 20)
    [onset, offset] = call.turns
    assert call.asked == []
    assert onset.at_ms == (20 + 6) * 32  # six of eight
    assert offset.end_ms > 28 * 32 + 160


def test_without_a_judge_noise_that_only_might_be_speech_starts_nothing():
    assert decisions("n" * 100, judged=False) == []


def test_windows_that_could_not_be_judged_are_decided_by_the_gate():
    call = Call(delay=1_000).feed("L" * 10 + "." * 20)
    for question in call.asked:
        call._take(call.hearing.judged(question.first_window, [math.nan]))
    [onset, offset] = call.turns
    assert onset.at_ms == 6 * 32


def test_a_judge_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(limits, "HEARING_BACKLOG_WINDOWS", 20)
    call = Call(delay=1_000).feed("L" * 40)
    assert [type(turn) for turn in call.turns] == [Onset]
    late = call.asked[0]
    assert call.hearing.judged(late.first_window, probabilities(late)) == []


def test_an_answer_that_was_not_asked_for_is_ignored():
    assert Call().hearing.judged(17, [1.0, 1.0]) == []


# --- changes on the way


def test_reset_forgets_the_turn_and_what_is_in_flight():
    call = Call(delay=1_000).feed("SSSS")
    call.hearing.reset()
    assert call.finish() == []
    call.delay = 0
    assert call.feed("." * 20 + "SS").turns == [Onset(26 * 32, 24 * 32 - 16)]


def test_reset_in_mid_speech_opens_a_turn_that_begins_there():
    call = Call(replace(DETECTION, prefix_padding_ms=300)).feed("SSSS")
    call.hearing.reset()
    assert call.feed("SS").turns[1:] == [Onset(6 * 32, 4 * 32)]


def test_another_silence_duration_counts_for_the_turn_in_progress():
    call = Call().feed("SSSS...")
    call.hearing.reconfigure(replace(DETECTION, silence_duration_ms=320))
    assert call.feed("." * 20).turns[1:] == [Offset(14 * 32)]


def test_another_threshold_counts_from_the_next_window():
    call = Call().feed("ssss")
    assert call.turns == []
    call.hearing.reconfigure(replace(DETECTION, threshold=0.4))
    assert [type(turn) for turn in call.feed("s").turns] == [Onset]


def test_position_is_the_audio_fed_to_the_millisecond():
    hearing = Call().hearing
    hearing.feed(bytes(320 * 2 + 16 * 2))
    assert hearing.position_ms == 21


# --- whatever the chunks, whenever the answers

scripts = st.lists(
    st.tuples(st.sampled_from(".nsSL"), st.integers(1, 30)).map(lambda run: run[0] * run[1]), max_size=8
).map("".join)
paddings = st.sampled_from([0, 40, 300])


@settings(max_examples=40, deadline=None)
@given(scripts, st.integers(100, 5_000), st.integers(0, 40), st.booleans(), paddings)
def test_chunking_and_the_delay_of_the_judge_change_no_decision(script, chunk_bytes, delay, judged, padding_ms):
    detection = replace(DETECTION, prefix_padding_ms=padding_ms)
    promptly = decisions(script, detection, judged=judged)
    assert Call(detection, judged, delay).feed(script, chunk_bytes).finish() == promptly


@settings(max_examples=40, deadline=None)
@given(scripts, st.integers(0, 40), st.booleans(), paddings)
def test_starts_and_ends_alternate_in_order_and_within_the_audio(script, delay, judged, padding_ms):
    call = Call(replace(DETECTION, prefix_padding_ms=padding_ms), judged, delay)
    turns = call.feed(script).finish()
    assert [type(turn) for turn in turns] == [Onset, Offset] * (len(turns) // 2) + [Onset] * (len(turns) % 2)
    before_ms = 0
    for turn in turns:
        at_ms = turn.start_ms if isinstance(turn, Onset) else turn.end_ms
        assert before_ms <= at_ms <= call.hearing.position_ms
        before_ms = at_ms
        if isinstance(turn, Onset):
            assert turn.start_ms <= turn.at_ms <= call.hearing.position_ms


@settings(max_examples=40, deadline=None)
@given(scripts, st.integers(0, 40), st.booleans())
def test_what_was_called_decided_stays_so(script, delay, judged):
    """Between turns nothing before `decided_ms` is needed again; in a turn, all before it belongs to the turn."""
    call, speaking, seen, promised_ms = Call(DETECTION, judged, delay), False, 0, 0
    for letter in [*script, None]:
        if letter is None:
            call.finish()
        else:
            call.feed(letter)
        for turn in call.turns[seen:]:
            if isinstance(turn, Onset):
                assert turn.start_ms >= promised_ms
            elif speaking:
                assert turn.end_ms >= promised_ms
            speaking, promised_ms = isinstance(turn, Onset), 0
        seen = len(call.turns)
        assert call.hearing.decided_ms <= call.hearing.position_ms
        promised_ms = max(promised_ms, call.hearing.decided_ms)


def test_windows_are_what_the_judge_takes():
    assert WINDOW_BYTES == 1_024
    assert WINDOW_MS == 32
