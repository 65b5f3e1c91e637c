"""The recognizer, with the real model."""

import json
from pathlib import Path

import numpy as np
import pytest
import soxr

from relay.providers.local.sphinx import RATE_HZ, Recognizer
from tests.fakes.spoken import UNDERSTOOD, spoken

RECORDINGS = Path(__file__).parents[5] / "shared" / "speech"
FRAME_BYTES = RATE_HZ // 50 * 2


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer()


def heard(recognizer, pcm, means=None):
    """(text, means, partial texts)"""
    recognizer.start(means)
    partials = [recognizer.hear(pcm[at : at + FRAME_BYTES]) for at in range(0, len(pcm), FRAME_BYTES)]
    return *recognizer.finish(), [text for text in partials if text is not None]


@pytest.fixture(scope="module")
def first(recognizer):
    """What was heard of the first turn."""
    return heard(recognizer, spoken())


@pytest.mark.parametrize("text", [UNDERSTOOD, "tell me a story", "please wait a moment"])
def test_synthetic_speech_is_understood(recognizer, text):
    assert heard(recognizer, spoken(text))[0] == text


def test_partial_texts_come_every_300_ms(first):
    _, _, partials = first
    assert len(partials) == len(spoken()) // (RATE_HZ * 2 * 3 // 10)
    assert any(partial.startswith("what") for partial in partials)


def test_turns_do_not_influence_each_other(recognizer, first):
    heard(recognizer, spoken("hello"))
    assert heard(recognizer, spoken()) == first


def test_dropped_turn_leaves_nothing_behind(recognizer):
    recognizer.start()
    recognizer.hear(spoken())
    recognizer.drop()
    assert heard(recognizer, spoken("hello"))[0] == "hello"


def test_turn_begun_anew_forgets_the_old_one(recognizer):
    recognizer.start()
    recognizer.hear(spoken())
    assert heard(recognizer, spoken("hello"))[0] == "hello"


@pytest.mark.parametrize("pcm", [b"", bytes(2), bytes(FRAME_BYTES), bytes(RATE_HZ * 2)])
def test_silence_is_no_text(recognizer, pcm):
    assert heard(recognizer, pcm)[0] == ""


def test_loud_noise_is_survived(recognizer):
    noise = np.random.default_rng(1).integers(-32_768, 32_767, RATE_HZ).astype("<i2").tobytes()
    assert isinstance(heard(recognizer, noise)[0], str)


def test_means_of_a_caller_are_learned_turn_by_turn(recognizer):
    _, once, _ = heard(recognizer, spoken("hello"))
    _, twice, _ = heard(recognizer, spoken("hello"), once)
    own, learned, more = (float(means.split(",")[0]) for means in (recognizer._own_means, once, twice))
    assert own < learned < more  # the voice is louder than the model expects


@pytest.mark.skipif(not RECORDINGS.exists(), reason="the recordings are not part of the project")
@pytest.mark.parametrize("name", ["weather_question.wav", "hello_world.wav", "LJ001-0008.wav"])
def test_recorded_speech_is_understood(recognizer, name):
    import wave

    with wave.open(str(RECORDINGS / name)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32)
        pcm = soxr.resample(samples, file.getframerate(), RATE_HZ).astype("<i2").tobytes()
    wanted = json.loads((RECORDINGS / "labels.json").read_text())[name]["text"]
    assert heard(recognizer, bytes(9_600) + pcm + bytes(16_000))[0] == wanted
