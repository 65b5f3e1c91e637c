"""The relay's own turn detection, for one caller. Pure: audio and probabilities in, times out.

Everything is counted in audio time, the milliseconds of 16 kHz audio that were fed, so that neither the chunking, nor a
caller that hurries, nor a judge that answers late changes a decision. Audio is looked at in windows of 32 ms:

    gate closed   the window is silence
    gate open     the window is sent to the judge and waits for its probability; windows before the one that opened the
                  gate are sent along, so that the judge has settled and the first syllable counts
    no judge      the gate's own opinion decides, smoothed over four times as long

A turn starts when the mean of the newest two probabilities reaches the threshold. It ends when, for
`silence_duration_ms`, no two in a row have both reached a lower one. Windows are decided strictly in order; closing the
gate keeps the place in the queue. Measurements behind the constants: `python -m bench.vad`.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from relay import limits
from relay.audio.framing import Framer
from relay.audio.vad import FRAME_BYTES, WINDOW_BYTES, WINDOW_MS, Gate, Sound, internal_threshold
from relay.nouns import TurnDetection

PREROLL_WINDOWS: Final = 32
"""Windows before the gate opened that the judge hears as well: one second, 32 KiB a caller. With it every turn of 42
test calls (7 recordings; clean, by phone, 20 and 34 dB too quiet, in noise) is the one that a judge that heard it all
finds; with half of it 8 calls differ and one phrase is lost. A shorter gap leaves no gap for the judge at all."""

_LATE_WINDOWS: Final = 8
"""Speech found in the pre-roll counts if it is this close to the opening; the gate has opened before the judge was sure
in every test, down to 5 dB and to microphones 34 dB too quiet. The rest of the pre-roll is there to warm up."""

_HANGOVER_WINDOWS: Final = 6
"""The gate stays open this long after the last sound that was louder than the room: a soft syllable is not silence."""

_LOUD_WINDOWS: Final = 8
"""Smoothing when the gate decides alone: about 6 of 8 windows have to be loud."""

_END_MARGIN: Final = 0.1
"""How far below the threshold of the start the one of the end lies; Silero's own is 0.15, but keeps noise going."""

_RISE: Final = 0.2
"""Speech is taken to have begun where the probability last rose above this: real onsets go from below 0.2 to above
0.7 in one or two windows."""

_MAX_RISE_WINDOWS: Final = 6
"""A probability that lingers between these two does not pull the start back any further."""

_ONSET_LEAD_MS: Final = 16
"""The probability rises in the window in which speech begins; half of it on average is speech."""


@dataclass(frozen=True, slots=True)
class JudgeNeeded:
    """Consecutive windows for the judge; `Hearing.judged` must be called with the answer, in the order of asking."""

    first_window: int
    """Counted from the first audio fed."""
    windows: bytes
    """PCM16 at 16 kHz, a whole number of windows."""
    fresh: bool
    """True: these do not continue the windows asked about before."""


@dataclass(frozen=True, slots=True)
class Onset:
    """The caller began to speak."""

    at_ms: int
    """Audio that had been heard when this could be known."""
    start_ms: int
    """Where the turn begins: the estimated start of speech less the padding. Never inside an earlier turn."""


@dataclass(frozen=True, slots=True)
class Offset:
    """The caller's turn is over."""

    end_ms: int
    """Where the turn ends: behind the silence that ended it."""


Finding = JudgeNeeded | Onset | Offset


@dataclass(slots=True)
class _Question:
    """Windows that the judge is asked about."""

    first: int
    opened: int
    """The window up to which the gate was closed. Those before it were silence until the judge says otherwise, and none
    can be decided before it was heard."""
    counted_from: int
    """Windows before this are pre-roll that only warms the judge up."""
    fresh: bool
    windows: list[bytes] = field(default_factory=list)
    """Empty once the question is on its way."""
    opinions: list[float] = field(default_factory=list)
    """What the gate thinks of each window, should the judge not say."""


class Hearing:
    """One caller's turns.

    Args:
        detection: thresholds and durations; `reconfigure` changes them while audio flows.
        judged: whether somebody answers `JudgeNeeded`; False: the gate decides alone and none is made.
        gate: another one than usual, for tests and measurements.
    """

    def __init__(self, detection: TurnDetection, judged: bool, gate: Gate | None = None) -> None:
        self._judged = judged
        self._gate = gate or Gate()
        self._to_windows = Framer(WINDOW_BYTES)
        self._to_frames = Framer(FRAME_BYTES)
        self._open_for = 0
        """Windows that the gate will stay open for, without more speech."""
        self._loud: deque[float] = deque(maxlen=_LOUD_WINDOWS)
        """Share of loud frames in the newest windows."""
        self._recent: deque[bytes] = deque(maxlen=PREROLL_WINDOWS + 1)

        self._heard = 0
        """Windows heard. Those below are numbers of windows, too."""
        self._decided = 0
        self._asked_until = 0
        self._questions: deque[_Question] = deque()  # bounded: HEARING_BACKLOG_WINDOWS

        self._speaking = False
        self._quiet_since = 0
        """In a turn: behind its last window of speech."""
        self._rise: int | None = None
        """Where the probability rose, if it has not fallen again."""
        self._probability = 0.0
        """Of the window decided last."""
        self._barrier_ms = 0
        """Audio before this belongs to an earlier turn, or was taken back."""
        self.reconfigure(detection)

    def reconfigure(self, detection: TurnDetection) -> None:
        """From the next decision on. A turn in progress goes on."""
        self._padding_ms = detection.prefix_padding_ms
        self._silence_windows = max(1, -(-detection.silence_duration_ms // WINDOW_MS))
        self._start_level = internal_threshold(detection.threshold)
        self._end_level = max(self._start_level - _END_MARGIN, self._start_level / 2)

    def reset(self) -> None:
        """Forget the turn: what was fed so far was taken back, or committed by hand."""
        self._forget(self.position_ms)
        self._loud.clear()

    @property
    def position_ms(self) -> int:
        """Audio fed so far."""
        return self._heard * WINDOW_MS + self._to_windows.waiting_bytes * WINDOW_MS // WINDOW_BYTES

    @property
    def decided_ms(self) -> int:
        """In a turn: all audio before this belongs to it. Between turns: the next one does not begin before this,
        its padding apart."""
        if self._speaking:
            return max(self._decided * WINDOW_MS, self._barrier_ms)
        sure = self._questions[0].counted_from if self._questions else self._heard - _LATE_WINDOWS
        earliest = min(sure, self._decided) - _MAX_RISE_WINDOWS
        return max(earliest * WINDOW_MS - _ONSET_LEAD_MS, self._barrier_ms)

    def feed(self, pcm16k: bytes) -> list[Finding]:
        """Hear PCM16 at 16 kHz, in any chunking. Cost: about 10 µs per 20 ms."""
        findings: list[Finding] = []
        asked_before = self._asked_until
        for window in self._to_windows.feed(pcm16k):
            opinion = self._listen(window)
            if not self._judged:
                self._decide(self._heard - 1, opinion, opinion, findings)
                self._decided = self._heard
            elif self._open_for:
                self._ask(self._heard - 1, opinion)
            elif not self._questions:
                self._settle(self._heard, findings)
        if self._asked_until > asked_before:
            findings.extend(self._send())
            self._give_up(findings)
        return findings

    def judged(self, first_window: int, probabilities: Sequence[float]) -> list[Finding]:
        """The judge's answer to the oldest `JudgeNeeded`; NaN: it could not say, so the gate decides.

        An answer that comes after the gate had to decide is ignored.
        """
        if not self._questions or self._questions[0].first != first_window:
            return []
        findings: list[Finding] = []
        self._answer(self._questions.popleft(), probabilities, findings)
        return findings

    # --- hearing

    def _listen(self, window: bytes) -> float:
        """Run the gate over a window. Returns its own opinion of it, 0 to 1."""
        sounds = [self._gate.feed(frame) for frame in self._to_frames.feed(window)]
        self._open_for = _HANGOVER_WINDOWS if any(sounds) else max(0, self._open_for - 1)
        self._loud.append(sounds.count(Sound.LOUD) / len(sounds))
        self._recent.append(window)
        self._heard += 1
        return sum(self._loud) / _LOUD_WINDOWS

    def _ask(self, window: int, opinion: float) -> None:
        """Put the newest window, and the pre-roll if the gate has just opened, to the judge."""
        first = max(self._asked_until, window - PREROLL_WINDOWS)
        newest = self._questions[-1] if self._questions else None
        if newest is None or not newest.windows or first < window:
            fresh = first > self._asked_until or first == 0
            newest = _Question(first, window, max(first, window - _LATE_WINDOWS), fresh)
            newest.windows.extend(list(self._recent)[first - window - 1 : -1])
            newest.opinions.extend([0.0] * (window - first))
            self._questions.append(newest)
        newest.windows.append(self._recent[-1])
        newest.opinions.append(opinion)
        self._asked_until = window + 1

    def _send(self) -> list[Finding]:
        sent: list[Finding] = []
        for question in self._questions:
            if question.windows:
                sent.append(JudgeNeeded(question.first, b"".join(question.windows), question.fresh))
                question.windows.clear()
        return sent

    def _give_up(self, findings: list[Finding]) -> None:
        """The judge is too far behind: the gate decides what has waited longest."""
        while self._asked_until - self._questions[0].first > limits.HEARING_BACKLOG_WINDOWS:
            question = self._questions.popleft()
            self._answer(question, [math.nan] * len(question.opinions), findings)
            if not self._questions:
                break

    # --- deciding

    def _answer(self, question: _Question, probabilities: Sequence[float], findings: list[Finding]) -> None:
        self._settle(question.opened, findings)
        for at, (probability, opinion) in enumerate(zip(probabilities, question.opinions, strict=False)):
            window, before = question.first + at, self._probability
            if math.isnan(probability):
                probability = before = opinion
            if window >= question.counted_from:
                self._decide(window, before, probability, findings, question.opened)
            else:
                self._probability = probability
        self._decided = question.first + len(question.opinions)
        if not self._questions:
            self._settle(self._heard, findings)

    def _settle(self, until: int, findings: list[Finding]) -> None:
        """The gate was closed from the last decided window on: silence."""
        if until <= self._decided:
            return
        self._probability, self._rise = 0.0, None
        end = max(self._quiet_since + self._silence_windows, self._decided + 1)
        if self._speaking and end <= until:
            self._end(end, findings)
        self._decided = until

    def _decide(self, window: int, before: float, probability: float, findings: list[Finding], opened: int = 0) -> None:
        """Take a window into account, with its probability and that of the window before."""
        self._probability = probability
        if probability <= _RISE:
            self._rise = None
        elif self._rise is None:
            self._rise = window
        behind = window + 1
        if self._speaking:
            if min(before, probability) >= self._end_level:
                self._quiet_since = behind
            elif probability < self._end_level and behind - self._quiet_since >= self._silence_windows:
                self._end(behind, findings)
        elif (before + probability) / 2 >= self._start_level and behind * WINDOW_MS > self._barrier_ms:
            self._start(window, max(window, opened), findings)

    def _start(self, window: int, known: int, findings: list[Finding]) -> None:
        rise = window if self._rise is None else max(self._rise, window - _MAX_RISE_WINDOWS)
        start_ms = max(rise * WINDOW_MS - _ONSET_LEAD_MS - self._padding_ms, self._barrier_ms)
        self._speaking = True
        self._quiet_since = window + 1
        findings.append(Onset((known + 1) * WINDOW_MS, start_ms))

    def _end(self, behind: int, findings: list[Finding]) -> None:
        end_ms = behind * WINDOW_MS
        self._forget(end_ms)
        findings.append(Offset(end_ms))

    def _forget(self, barrier_ms: int) -> None:
        self._speaking = False
        self._rise = None
        self._probability = 0.0
        self._barrier_ms = barrier_ms
