"""G.711 against CPython's own (where it still has it) and against the recommendation's decision values."""

import warnings

import numpy as np
import pytest

from relay.audio import g711

CODES = bytes(range(256))
SAMPLES = np.arange(-32_768, 32_768).astype(np.int16)


def reference():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return pytest.importorskip("audioop", reason="CPython 3.13 has no audioop to compare with")


def test_every_code_decoded_equals_the_reference():
    audioop = reference()
    assert g711.decode_mulaw(CODES).tobytes() == audioop.ulaw2lin(CODES, 2)
    assert g711.decode_alaw(CODES).tobytes() == audioop.alaw2lin(CODES, 2)


def test_every_sample_encoded_equals_the_reference():
    audioop = reference()
    assert g711.encode_mulaw(SAMPLES) == audioop.lin2ulaw(SAMPLES.tobytes(), 2)
    assert g711.encode_alaw(SAMPLES) == audioop.lin2alaw(SAMPLES.tobytes(), 2)


def test_values_of_the_recommendation_are_met():
    # G.711 tables 2a and 1a, "quantized value" column, scaled to 16 bits (x4 and x8).
    assert g711.decode_mulaw(b"\x80\x8f\xff\x7f\x00")[[0, 2, 3, 4]].tolist() == [8_031 * 4, 0, 0, -8_031 * 4]
    assert g711.decode_alaw(b"\xaa\xd5\x55\x2a").tolist() == [4_032 * 8, 8, -8, -4_032 * 8]


def test_a_decoded_code_encodes_to_itself():
    assert g711.encode_alaw(g711.decode_alaw(CODES)) == CODES
    # mu-law has two zeros, and the negative one (0x7F) is never produced.
    assert g711.encode_mulaw(g711.decode_mulaw(CODES)) == CODES.replace(b"\x7f", b"\xff")


def test_the_error_of_a_round_trip_is_about_half_a_step_at_most():
    size = np.abs(SAMPLES.astype(int))
    for encode, decode in ((g711.encode_mulaw, g711.decode_mulaw), (g711.encode_alaw, g711.decode_alaw)):
        error = np.abs(decode(encode(SAMPLES)).astype(int) - SAMPLES)
        assert (error <= (size + 132) / 32 + 4)[size < 32_000].all()
