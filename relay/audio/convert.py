"""From one audio format to another, in chunks of any size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from relay.audio import g711
from relay.audio.resample import Resampler
from relay.nouns import AudioFormat


class Converter:
    """One direction of one leg. Bytes of ``src`` in, bytes of ``dst`` out, always whole samples.

    Delay: that of the `Resampler` where the rates differ (1 to 4 ms), otherwise none. Not thread-safe.
    Never raises on content.
    """

    def __init__(self, src: AudioFormat, dst: AudioFormat) -> None:
        self.src = src
        self.dst = dst
        self._resampler = Resampler(src.rate_hz, dst.rate_hz) if src.rate_hz != dst.rate_hz else None
        self._half_sample = b""

    @property
    def identity(self) -> bool:
        """Both formats are equal, so that audio may be forwarded as it came."""
        return self.src == self.dst

    @property
    def delay_ms(self) -> float:
        """Milliseconds of audio that are held back at most."""
        return self._resampler.delay_ms if self._resampler else 0.0

    def convert(self, audio: bytes) -> bytes:
        """The next chunk. Between equal formats the same object comes back, unless half a sample has to be held."""
        if self.src.encoding == "pcm16" and (self._half_sample or len(audio) & 1):
            audio = self._half_sample + audio
            whole = len(audio) & ~1
            audio, self._half_sample = audio[:whole], audio[whole:]
        if self.src == self.dst:
            return audio
        pcm = _decode(audio, self.src)
        if self._resampler is not None:
            pcm = self._resampler.convert(pcm)
        return _encode(pcm, self.dst)

    def flush(self) -> bytes:
        """What was held back; the converter is as new afterwards. Half a sample is dropped."""
        self._half_sample = b""
        if self._resampler is None:
            return b""
        return _encode(self._resampler.convert(np.empty(0, np.int16), last=True), self.dst)


def _decode(audio: bytes, form: AudioFormat) -> NDArray[np.int16]:
    if form.encoding == "pcm16":
        return np.frombuffer(audio, "<i2")
    return g711.decode_mulaw(audio) if form.encoding == "mulaw" else g711.decode_alaw(audio)


def _encode(pcm: NDArray[np.int16], form: AudioFormat) -> bytes:
    if form.encoding == "pcm16":
        return pcm.astype("<i2", copy=False).tobytes()
    return g711.encode_mulaw(pcm) if form.encoding == "mulaw" else g711.encode_alaw(pcm)
