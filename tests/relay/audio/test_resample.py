"""Sample-rate conversion: clean, seamless at chunk edges, in time, and complete."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.audio.resample import Resampler

CALL_RATES = [(a, b) for a in (8_000, 16_000, 24_000, 48_000) for b in (8_000, 16_000, 24_000, 48_000) if a != b]
ODD_RATES = [(22_050, 24_000), (44_100, 16_000), (11_111, 16_000)]


def tone(rate_hz, tone_hz, seconds=1.0, level=16_000):
    return np.rint(np.sin(2 * np.pi * tone_hz * np.arange(int(rate_hz * seconds)) / rate_hz) * level).astype(np.int16)


def chirp(rate_hz, seconds=0.4, top_hz=3_000):
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    return np.rint(np.sin(np.pi * top_hz * at**2 / seconds) * 16_000).astype(np.int16)


def in_chunks(resampler, pcm, sizes):
    pieces, at = [], 0
    for size in sizes:
        pieces.append(resampler.convert(pcm[at : at + size]))
        at += size
    pieces.append(resampler.convert(pcm[at:], last=True))
    return np.concatenate(pieces)


def level_db(pcm, against):
    return 10 * np.log10(np.mean(np.square(pcm, dtype=float)) / np.mean(np.square(against, dtype=float)) + 1e-12)


@pytest.mark.parametrize(("src_hz", "dst_hz"), CALL_RATES + ODD_RATES)
def test_a_tone_comes_out_as_the_same_tone_in_phase(src_hz, dst_hz):
    result = Resampler(src_hz, dst_hz).convert(tone(src_hz, 1_000), last=True)
    middle = slice(dst_hz // 10, -dst_hz // 10)
    wanted = tone(dst_hz, 1_000)[middle]
    assert level_db(result[middle].astype(int) - wanted, wanted) < -60


@pytest.mark.parametrize(("src_hz", "dst_hz"), [pair for pair in CALL_RATES if pair[0] > pair[1]])
def test_a_tone_above_the_target_band_is_removed(src_hz, dst_hz):
    source = tone(src_hz, dst_hz * 0.55)
    assert level_db(Resampler(src_hz, dst_hz).convert(source)[dst_hz // 10 :], source) < -60


@pytest.mark.parametrize(("src_hz", "dst_hz"), CALL_RATES + ODD_RATES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_any_chunking_sounds_as_one_piece(src_hz, dst_hz, data):
    source = chirp(src_hz)
    sizes = data.draw(st.lists(st.integers(0, src_hz // 20), max_size=20))
    whole = Resampler(src_hz, dst_hz).convert(source, last=True)
    pieces = in_chunks(Resampler(src_hz, dst_hz), source, sizes)
    assert len(pieces) == len(whole)
    assert level_db(pieces.astype(int) - whole, whole) < -60


@pytest.mark.parametrize(("src_hz", "dst_hz"), CALL_RATES + ODD_RATES)
def test_no_more_than_the_stated_delay_is_held_back(src_hz, dst_hz):
    resampler, produced, chunk = Resampler(src_hz, dst_hz), 0, src_hz // 100
    for count in range(1, 60):
        produced += len(resampler.convert(np.zeros(chunk, np.int16)))
        held_ms = count * chunk * 1_000 / src_hz - produced * 1_000 / dst_hz
        assert held_ms <= resampler.delay_ms + 1e-6


@pytest.mark.parametrize(("src_hz", "dst_hz"), CALL_RATES)
def test_between_the_rates_of_calls_at_most_4_ms_are_held_back(src_hz, dst_hz):
    assert Resampler(src_hz, dst_hz).delay_ms <= 4.0


@pytest.mark.parametrize(("src_hz", "dst_hz"), CALL_RATES)
def test_nothing_is_lost_at_the_end_and_the_next_stream_starts_clean(src_hz, dst_hz):
    resampler, source = Resampler(src_hz, dst_hz), tone(src_hz, 500, seconds=0.0505)
    first = in_chunks(resampler, source, [100, 7])
    assert len(first) == -(-len(source) * dst_hz // src_hz)
    assert np.array_equal(in_chunks(resampler, source, [100, 7]), first)


def test_full_scale_is_clipped_not_wrapped():
    square = np.where(tone(24_000, 440) >= 0, 32_767, -32_768).astype(np.int16)
    result = Resampler(24_000, 16_000).convert(square)
    assert result.max() == 32_767
    assert result.min() == -32_768
    assert np.abs(np.diff(np.sign(result[100:-100]))).sum() <= 2 * 2 * 440 + 4  # a wrap would add zero crossings


def test_a_constant_stays_constant():
    result = Resampler(48_000, 8_000).convert(np.full(9_600, 12_345, np.int16))
    assert (result[100:] == 12_345).all()
