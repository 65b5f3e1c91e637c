"""The bench's own arithmetic: what it calls missed, early, split, onset and end."""

import numpy as np
import pytest

from bench import vad

CLIP = vad.Clip(b"", 10.0, start_ms=1_000.0, end_ms=3_000.0)
NEVER = float("inf")


def tally_of(*turns):
    tally = vad.Tally()
    tally.add(CLIP, list(turns))
    return tally


def test_a_turn_that_was_found_is_counted_by_its_delays():
    tally = tally_of((1_100.0, 3_580.0))
    assert (tally.missed, tally.early, tally.split) == (0, 0, 0)
    assert (tally.onsets_ms, tally.ends_ms) == ([100.0], [80.0])


@pytest.mark.parametrize("turns", [(), ((3_200.0, NEVER),)])
def test_no_start_before_the_end_is_a_miss(turns):
    assert tally_of(*turns).missed == 1


def test_a_start_before_speech_is_early_and_no_onset():
    tally = tally_of((900.0, 3_600.0))
    assert (tally.early, tally.onsets_ms) == (1, [])


def test_an_end_in_mid_speech_is_a_split_and_the_last_end_counts():
    tally = tally_of((1_100.0, 2_000.0), (2_100.0, 3_600.0))
    assert (tally.split, tally.ends_ms) == (1, [100.0])


def test_an_end_that_never_came_counts_as_the_whole_rest():
    assert tally_of((1_100.0, NEVER)).ends_ms == [vad.AFTER_S * 1_000 - 500]


def test_speech_is_mixed_at_the_stated_ratio_and_its_labels_move_along():
    random = np.random.default_rng(5)
    speech, noise = random.normal(size=16_000) * 0.01, random.normal(size=160_000) * 0.1
    clip = vad.mixed(speech.astype(np.float32), (0.25, 0.75), noise.astype(np.float32), 0.5, 10.0)
    samples = np.frombuffer(clip.pcm, "<i2").astype(float)
    lead = samples[: int(vad.BEFORE_S * 16_000)]
    assert 10 * np.log10((0.01 * 32_768) ** 2 / lead.var()) == pytest.approx(10.0, abs=0.3)
    assert (clip.start_ms, clip.end_ms) == (1_250.0, 1_750.0)


def test_silence_starts_no_turn_with_any_detector():
    model = vad.find_model()
    assert model is not None
    for detect in (vad.relay(model), vad.silero_alone(model), vad.gate_alone, vad.webrtc):
        assert detect(bytes(32_000)) == []
