"""Speech that the project makes itself, where recordings may not be part of it."""

from __future__ import annotations

from functools import cache

import numpy as np
import soxr

from relay.providers.local.espeak import RATE_HZ, Speaker

UNDERSTOOD = "what is the weather in paris"
"""A sentence that `local/sphinx` understands when `local/espeak` says it. So it does "… in london", "what time is it",
"hello", "tell me a story", "stop" and "please wait a moment"; many others it does not."""


@cache
def _speaker() -> Speaker:
    return Speaker()


@cache
def spoken(text: str = UNDERSTOOD, rate_hz: int = 16_000) -> bytes:
    """`text` said by the default voice as PCM16, between 300 ms and 500 ms of silence, as a detected turn has them."""
    chunks: list[bytes] = []
    _speaker().speak(text, None, 1.0, lambda pcm, words: chunks.append(pcm))
    samples = np.frombuffer(b"".join(chunks), "<i2").astype(np.float32)
    voice = soxr.resample(samples, RATE_HZ, rate_hz).clip(-32_768, 32_767).astype("<i2").tobytes()
    return bytes(rate_hz * 3 // 10 * 2) + voice + bytes(rate_hz // 2 * 2)
