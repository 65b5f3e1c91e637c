"""The caller's audio on its way: nothing before the padding, nothing lost after it."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from relay.core.ears import AudioQueue, Ears, samples_of
from relay.core.hearing import Offset, Onset
from relay.nouns import MULAW8K, PCM16K, PCM24, TurnDetection
from tests.fakes.scripted_hearing import ScriptedHearing


def numbered(ms: int, start: int = 0) -> bytes:
    """Audio in which every millisecond is told apart: 16 samples of its own number."""
    return b"".join((n % 30000).to_bytes(2, "little") * 16 for n in range(start, start + ms))


def scripted(prefix_ms: int = 300) -> tuple[Ears, ScriptedHearing]:
    ears = Ears(PCM16K, PCM16K, TurnDetection(prefix_padding_ms=prefix_ms), judged=True)
    hearing = ScriptedHearing()
    ears._hearing = hearing  # type: ignore[assignment]
    return ears, hearing


def test_base64_and_bytes_give_the_same_samples_and_rubbish_gives_none() -> None:
    assert samples_of(base64.b64encode(b"\1\2\3\4").decode()) == samples_of(b"\1\2\3\4")
    for bad in ("!!!", "AAA", "A" * 5, "AA-_", "AAAA\n"):
        assert samples_of(bad) is None


def test_push_to_talk_everything_is_the_models() -> None:
    ears = Ears(PCM16K, PCM16K, None, judged=False)
    assert ears.append(numbered(40)) == []
    assert ears.turn_audio() == numbered(40)


def test_turn_begins_at_its_padding_to_the_sample() -> None:
    ears, hearing = scripted()
    ears.append(numbered(1000))
    start = ears.open_turn(Onset(1000, 640))
    assert start == 640
    assert ears.turn_audio() == numbered(360, 640)


def test_turn_ends_where_the_detector_says_and_the_rest_waits() -> None:
    ears, hearing = scripted()
    ears.append(numbered(1000))
    ears.open_turn(Onset(1000, 0))
    hearing.decided_ms = 500
    assert ears.turn_audio() == numbered(500)
    audio, end = ears.close_turn(Offset(800))
    assert (audio, end) == (numbered(300, 500), 800)
    ears.open_turn(Onset(1000, 900))
    hearing.decided_ms = 1000
    assert ears.turn_audio() == numbered(100, 900)


def test_judge_that_answers_late_loses_nothing() -> None:
    """A clip of 20 s given at once: the turn is found only afterwards, from its padding on."""
    ears, hearing = scripted()
    hearing.feed = lambda pcm: []  # type: ignore[method-assign,assignment]
    ears.append(numbered(20_000))
    hearing.decided_ms = 0
    ears.trim()
    ears.open_turn(Onset(20_000, 100))
    hearing.decided_ms = 20_000
    assert ears.turn_audio() == numbered(19_900, 100)


def test_between_turns_only_the_padding_is_kept() -> None:
    ears, hearing = scripted(prefix_ms=300)
    for n in range(100):
        ears.append(numbered(20, n * 20))
        ears.trim()
    assert ears.everything() == numbered(300, 1700)
    assert hearing.resets == 1


def test_position_counts_audio_over_changes_of_format() -> None:
    ears = Ears(PCM16K, None, None, judged=False)
    ears.append(b"\0\0" * 16_000)
    ears.reconfigure(MULAW8K, None)
    ears.append(b"\xff" * 8_000)
    assert round(ears.position_ms) == 2000


def test_untouched_only_when_nobody_looks_at_the_audio() -> None:
    assert Ears(PCM24, None, None, judged=False).untouched
    assert not Ears(PCM24, PCM16K, None, judged=False).untouched
    assert not Ears(PCM24, None, TurnDetection(), judged=False).untouched


@given(st.lists(st.integers(0, 400), max_size=30), st.lists(st.integers(0, 5000), max_size=30))
def test_queue_gives_back_every_byte_once_in_order(chunks: list[int], cuts: list[int]) -> None:
    queue = AudioQueue(PCM16K)
    audio = numbered(sum(chunks))
    at = 0
    for size in chunks:
        queue.put(audio[at : at + size * 32])
        at += size * 32
    taken = b"".join(queue.take_until(cut) for cut in sorted(cuts)) + queue.take_until(queue.end_ms)
    assert taken == audio
