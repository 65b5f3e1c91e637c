"""Streaming sample-rate conversion with a delay of 1 to 4 ms.

A linear-phase low-pass filter, evaluated only where an output sample is wanted. For a ratio of small whole numbers the
positions of the outputs repeat, so that one block of inputs times one constant matrix is one block of outputs: a chunk
costs one matrix product (7 to 10 µs for 20 ms, of which less than half is arithmetic).

Why not soxr alone: between the rates of calls (8, 16, 24, 48 kHz) its streams filter with block transforms and hold
back 20 to 61 ms (LQ) or 36 to 117 ms (MQ, HQ) of 20 ms chunks, a third of the time in which an interruption has to be
heard; QQ holds back nothing but does not filter. It costs 2 to 7 µs. It is still what converts between rates whose
ratio has no small whole numbers (22.05 to 24 kHz, 11,111 Hz): the matrix would be large, and there LQ mostly holds back
less.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import soxr
from numpy.typing import NDArray

_REACH: Final = 32
"""Samples of the lower rate that the filter looks to either side. With 80 dB of rejection this passes everything below
84 % of the lower Nyquist frequency (6.7 kHz at 16 kHz) and costs a delay of 2 ms at 16 kHz, 4 ms at 8 kHz."""

_REJECTION_DB: Final = 80.0
"""More would vanish in the rounding to 16 bits."""

_MAX_RATIO: Final = 12
"""Largest term of the reduced ratio that gets a matrix: all pairs of 8, 12, 16, 24, 32, 48 and 96 kHz."""

_MAX_PRODUCT: Final = 200_000
"""Multiplications in one matrix product. OpenBLAS wakes its threads from 262,144 on, and they spin: slower by far here,
and at the cost of the other sessions."""

_HIGHEST = np.float32(32_767)
_LOWEST = np.float32(-32_768)
_NOTHING: NDArray[np.int16] = np.empty(0, np.int16)


class _Bank(NamedTuple):
    """The constant part of a conversion, shared by all sessions."""

    matrix: NDArray[np.float32]
    """Rows: a block of inputs and ``reach`` more on either side. Columns: a block of outputs."""
    inputs: int
    reach: int


class Resampler:
    """One direction of one leg, from ``src_hz`` to ``dst_hz``; any positive rates.

    Keeps filter history between calls, so that chunk edges leave no trace. Not thread-safe.
    """

    def __init__(self, src_hz: int, dst_hz: int) -> None:
        self._src_hz = src_hz
        self._dst_hz = dst_hz
        divisor = math.gcd(src_hz, dst_hz)
        self._bank = _bank(src_hz, dst_hz) if max(src_hz, dst_hz) // divisor <= _MAX_RATIO else None
        self.reset()

    @property
    def delay_ms(self) -> float:
        """The most that is held back, in ms of audio, when chunks are a multiple of 10 ms."""
        if self._bank is None:
            return _soxr_delay_ms(self._src_hz, self._dst_hz)
        return -(-self._bank.reach // self._bank.inputs) * self._bank.inputs * 1000.0 / self._src_hz

    def reset(self) -> None:
        """Forget what was heard, as if new."""
        if self._bank is None:
            self._stream = _soxr_stream(self._src_hz, self._dst_hz)
        else:
            self._held: NDArray[np.float32] = np.zeros(self._bank.reach, np.float32)
        self._received = self._produced = 0

    def convert(self, pcm: NDArray[np.int16], last: bool = False) -> NDArray[np.int16]:
        """Convert one chunk.

        Shapes: in ``(n,)`` at ``src_hz``; out ``(m,)`` at ``dst_hz``. Over the whole stream m is n * dst_hz / src_hz,
            rounded up.
        Delay: at most ``delay_ms`` is held back until ``last=True``, after which the resampler is as new.
        Never raises on content; what exceeds 16 bits is clipped.
        """
        if self._bank is None:
            result: NDArray[np.int16] = self._stream.resample_chunk(pcm, last)
        else:
            self._received += len(pcm)
            self._held = np.concatenate((self._held, pcm), dtype=np.float32, casting="unsafe")
            result = self._blocks(self._bank)
            if last:
                result = np.concatenate((result, self._tail(self._bank)))
        if last:
            self.reset()
        return result

    def _blocks(self, bank: _Bank) -> NDArray[np.int16]:
        """Outputs of all whole blocks that are held with enough after them."""
        held, step = self._held, bank.inputs
        rows, columns = bank.matrix.shape
        count = (len(held) - 2 * bank.reach) // step
        if count <= 0:
            return _NOTHING
        windows = np.ndarray((count, rows), np.float32, held, 0, (4 * step, 4))  # overlapping views, nothing copied
        at_once = max(1, _MAX_PRODUCT // (rows * columns))
        if count <= at_once:
            result = windows @ bank.matrix
        else:
            pieces = [windows[at : at + at_once] @ bank.matrix for at in range(0, count, at_once)]
            result = np.concatenate(pieces)
        np.rint(result, out=result)
        np.minimum(result, _HIGHEST, out=result)
        np.maximum(result, _LOWEST, out=result)
        self._held = held[count * step :].copy()
        self._produced += count * columns
        return result.astype(np.int16).ravel()

    def _tail(self, bank: _Bank) -> NDArray[np.int16]:
        """What is still owed at the end: silence is appended and the surplus cut."""
        owed = -(-self._received * self._dst_hz // self._src_hz) - self._produced
        silence = np.zeros(2 * bank.reach + bank.inputs, np.float32)
        self._held = np.concatenate((self._held, silence))
        return self._blocks(bank)[:owed]


def _soxr_stream(src_hz: int, dst_hz: int) -> soxr.ResampleStream:
    return soxr.ResampleStream(src_hz, dst_hz, 1, dtype="int16", quality="LQ")


@lru_cache(maxsize=64)
def _soxr_delay_ms(src_hz: int, dst_hz: int) -> float:
    """Measured on a second of silence: soxr does not say."""
    stream, chunk = _soxr_stream(src_hz, dst_hz), np.zeros(src_hz // 100, np.int16)
    received, produced, worst = 0, 0, 0.0
    for _ in range(100):
        produced += len(stream.resample_chunk(chunk))
        received += len(chunk)
        worst = max(worst, received / src_hz - produced / dst_hz)
    return worst * 1000.0


@lru_cache(maxsize=64)
def _bank(src_hz: int, dst_hz: int) -> _Bank:
    """A Kaiser-windowed sinc, sampled where the outputs of one block lie; about 1 ms of input is one block.

    Kaiser's formulas: Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5.3 (second edition 7.4.3).
    """
    divisor = math.gcd(src_hz, dst_hz)
    repeats = max(1, src_hz // 1000 * divisor // src_hz)
    inputs, outputs = src_hz // divisor * repeats, dst_hz // divisor * repeats
    lower_hz = min(src_hz, dst_hz)
    half_width = _REACH * src_hz / lower_hz
    reach = math.ceil(half_width)
    transition = (_REJECTION_DB - 7.95) / (14.36 * 2 * _REACH)
    cutoff = (1.0 - transition) * lower_hz / src_hz
    shape = 0.1102 * (_REJECTION_DB - 8.7)
    at = np.arange(inputs + 2 * reach)[:, None] - reach - np.arange(outputs)[None, :] * src_hz / dst_hz
    window = np.i0(shape * np.sqrt(np.clip(1.0 - (at / half_width) ** 2, 0.0, None))) * (np.abs(at) <= half_width)
    taps = np.sinc(cutoff * at) * window
    taps /= taps.sum(axis=0)  # exactly unity gain for every phase: no hum from a constant
    return _Bank(np.ascontiguousarray(taps, np.float32), inputs, reach)
