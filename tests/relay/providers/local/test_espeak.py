"""The synthesizer and the times of its words, with the real library."""

import gc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.providers.local.espeak import CHUNK_MS, DEFAULT_VOICE, RATE_HZ, VOICES, Speaker, TimedWords
from tests.fakes.spoken import _speaker


def say(text, voice=None, speed=1.0):
    """(chunks, words in the order in which they came)"""
    chunks, words = [], []

    def told(pcm, begun):
        chunks.append(pcm)
        words.extend(begun)

    _speaker().speak(text, voice, speed, told)
    return chunks, words


def duration_ms(chunks):
    return sum(map(len, chunks)) * 1000 / (RATE_HZ * 2)


def test_text_gives_speech_in_short_chunks_of_whole_samples():
    chunks, _ = say("Hello world, this is a test.")
    assert 1_000 < duration_ms(chunks) < 5_000
    assert all(len(chunk) % 2 == 0 and 0 < duration_ms([chunk]) <= CHUNK_MS + 1 for chunk in chunks)
    assert np.abs(np.frombuffer(b"".join(chunks), "<i2")).max() > 3_000


def test_words_come_in_order_with_their_times_within_the_speech():
    chunks, words = say("One two three four five.")
    starts = [start for _, start in words]
    assert [word for word, _ in words] == ["One ", "two ", "three ", "four ", "five."]
    assert starts[0] == 0.0
    assert starts == sorted(set(starts))
    assert starts[-1] < duration_ms(chunks)


def test_first_chunk_carries_the_first_word():
    first = []
    _speaker().speak("(perhaps) yes", None, 1.0, lambda pcm, words: first.append(words))
    assert first[0][0] == ("(perhaps) ", 0.0)


@pytest.mark.parametrize(
    "text",
    [
        "Hello, world! It's 21 degrees (really) – well... 3.5 km. Dr. Smith said: \"café\" costs €5.",
        "  leading and trailing  ", "new\n\nparagraph", "😀 hi", "日本語 text", "in 1984", "...", " ", "",
        "a\0b <b>c</b> [[t]]",
    ],
)  # fmt: skip
def test_words_together_are_exactly_the_text(text):
    _, words = say(text)
    assert "".join(word for word, _ in words) == text


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_spoken_and_given_back_whole(text):
    _, words = say(text)
    assert "".join(word for word, _ in words) == text


@given(st.text(max_size=40), st.lists(st.tuples(st.integers(-5, 60), st.floats(0, 1e4)), max_size=12))
def test_times_never_run_backwards_whatever_positions_are_named(text, starts):
    words = TimedWords(text)
    found = words.reached(starts) + words.rest()
    assert "".join(word for word, _ in found) == text
    assert [start for _, start in found] == sorted(start for _, start in found)


def test_speaker_still_speaks_after_another_one_of_the_process_is_gone():
    other = Speaker()
    other.speak("hello", None, 1.0, lambda pcm, words: None)
    del other
    gc.collect()
    chunks, _ = say("hello")
    assert duration_ms(chunks) > 100


def test_unnamed_word_begins_with_the_next_named_one():
    words = TimedWords("one — two")
    assert words.reached([(0, 0.0)]) == [("one ", 0.0)]
    assert words.reached([(6, 400.0)]) == [("— ", 400.0), ("two", 400.0)]


def test_higher_speed_takes_less_time():
    text = "The quick brown fox jumps over the lazy dog."
    assert duration_ms(say(text, speed=1.5)[0]) < 0.8 * duration_ms(say(text)[0])


@pytest.mark.parametrize("voice", VOICES)
def test_every_offered_voice_exists(voice):
    assert duration_ms(say("yes", voice)[0]) > 100


@pytest.mark.parametrize("voice", ["alloy", "../../etc/passwd", "", "en-us;x", "zz-nowhere", "e" * 5_000])
def test_unknown_voice_is_the_default_one(voice):
    by_default, german = (duration_ms(say("one and twenty", name)[0]) for name in (DEFAULT_VOICE, "de"))
    assert abs(duration_ms(say("one and twenty", voice)[0]) - by_default) < 10 < abs(german - by_default)
