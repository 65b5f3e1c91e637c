"""Formats into formats: any chunking, whole samples, nothing lost."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay.audio.convert import Converter
from relay.nouns import ALAW8K, MULAW8K, PCM16K, PCM24, AudioFormat

PCM8K = AudioFormat("pcm16", 8_000)
FORMATS = [PCM24, PCM16K, PCM8K, MULAW8K, ALAW8K]


def speechlike(form, seconds=0.2):
    at = np.arange(int(form.rate_hz * seconds)) / form.rate_hz
    pcm = np.rint(8_000 * np.sin(2 * np.pi * 300 * at) + 4_000 * np.sin(2 * np.pi * 1_700 * at))
    return Converter(AudioFormat("pcm16", form.rate_hz), form).convert(pcm.astype("<i2").tobytes())


@pytest.mark.parametrize("src", FORMATS)
@pytest.mark.parametrize("dst", FORMATS)
@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(0, 400), max_size=12))
def test_any_chunking_gives_the_same_audio(src, dst, sizes):
    audio, converter, pieces, at = speechlike(src), Converter(src, dst), [], 0
    for size in [*sizes, len(audio)]:
        piece = converter.convert(audio[at : at + size])
        assert len(piece) % dst.sample_bytes == 0
        pieces.append(piece)
        at += size
    whole = Converter(src, dst)
    wanted = whole.convert(audio) + whole.flush()
    result = b"".join(pieces) + converter.flush()
    assert len(result) == len(wanted)
    to_pcm = Converter(dst, AudioFormat("pcm16", dst.rate_hz))
    difference = np.frombuffer(to_pcm.convert(result), "<i2").astype(int) - np.frombuffer(to_pcm.convert(wanted), "<i2")
    assert np.abs(difference).max(initial=0) <= (1 if dst.encoding == "pcm16" else 512)  # one rounding, one code


@pytest.mark.parametrize("src", FORMATS)
@pytest.mark.parametrize("dst", FORMATS)
def test_duration_is_kept(src, dst):
    converter, audio = Converter(src, dst), speechlike(src)
    result = converter.convert(audio) + converter.flush()
    assert dst.duration_ms(len(result)) == pytest.approx(src.duration_ms(len(audio)), abs=0.2)


@pytest.mark.parametrize("form", FORMATS)
def test_equal_formats_forward_the_same_object(form):
    converter, audio = Converter(form, form), speechlike(form)
    assert converter.identity
    assert converter.convert(audio) is audio


def test_different_formats_are_not_an_identity():
    assert not Converter(PCM8K, MULAW8K).identity


def test_half_a_sample_waits_for_its_other_half():
    converter = Converter(PCM24, PCM24)
    assert [converter.convert(piece) for piece in (b"\x01", b"\x02\x03", b"\x04", b"")] == [
        b"",
        b"\x01\x02",
        b"\x03\x04",
        b"",
    ]


def test_half_a_sample_at_the_end_is_dropped_and_does_not_shift_the_next_stream():
    converter = Converter(PCM24, PCM24)
    converter.convert(b"\x01\x02\x03")
    assert converter.flush() == b""
    assert converter.convert(b"\x05\x06") == b"\x05\x06"


def test_codes_between_the_two_laws_survive_both_ways():
    audio = speechlike(ALAW8K)
    there = Converter(ALAW8K, MULAW8K).convert(audio)
    back = Converter(MULAW8K, ALAW8K).convert(there)
    assert np.mean(np.frombuffer(back, np.uint8) == np.frombuffer(audio, np.uint8)) > 0.9


def test_delay_is_that_of_the_rate_conversion():
    assert Converter(PCM8K, MULAW8K).delay_ms == 0.0
    assert 0.0 < Converter(PCM24, MULAW8K).delay_ms <= 4.0
