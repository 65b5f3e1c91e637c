"""`local/sphinx`: speech recognition with pocketsphinx and its bundled US English model.

Runs in an engine process (`worker`), one decoder a process, kept warm between turns. How it is tuned, measured on
clean read speech: one pass with a lattice search over it instead of a second pass (the final text is there within a
hundredth of the turn's duration instead of a fifteenth), a language weight of 5.5, and means carried over.

The *means* are what cepstral mean normalization subtracts: the average sound of microphone, room and level. The
decoder learns them slowly, so the caller's last ones are handed back at the next turn; where they turn out to have been
far off, a turn is decoded a second time with its own.
"""

from __future__ import annotations

import math

from pocketsphinx import Decoder

RATE_HZ = 16_000
PAD = bytes(RATE_HZ // 5 * 2)
"""200 ms of silence at both ends: words at the very edge are lost otherwise."""
PARTIAL_BYTES = RATE_HZ * 2 * 3 // 10
"""How much audio lies between two looks at the words so far: 300 ms."""
FAR_MEANS = 25.0
"""Distance at which means count as wrong. An ordinary microphone lies within 22 of the model's own, a recording of
1961 at 55."""
SECOND_PASS_BYTES = RATE_HZ * 2 * 6
"""Longer turns are not decoded twice: the caller would wait for it more than a second."""
LEARNED_FRAMES = 500
"""Weight in frames that the decoder gives to the means it starts with (CMN_WIN of pocketsphinx' fe/cmn.h)."""


class Recognizer:
    """Turns, one after the other. Not thread-safe.

    Units: PCM16 at 16 kHz, whole samples. Delay: a text lags the audio by about 300 ms. Cost: a seventh of the audio's
    duration, 100 MB.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(
            loglevel="FATAL", cmn="batch", lw=5.5, fwdflat=False, bestpath=True, maxhmmpf=5000, maxwpf=20
        )
        self._own_means = self._decoder.get_cmn(False)
        self._means = self._own_means
        self._audio = bytearray()
        self._unseen_bytes = 0
        self._listening = False

    def start(self, means: str | None = None) -> None:
        """Begin a turn; one that is under way is forgotten.

        Args:
            means: what `finish` gave for this caller's last turn.
        """
        self.drop()
        self._means = means or self._own_means
        self._decoder.reinit_feat()
        self._decoder.set_cmn(self._means)
        self._audio = bytearray()
        self._unseen_bytes = 0
        self._decoder.start_utt()
        self._listening = True
        self._decode(PAD)

    def hear(self, pcm: bytes) -> str | None:
        """More audio of the turn. Returns the whole text so far when it is time to look, else None."""
        self._decode(pcm)
        self._unseen_bytes += len(pcm)
        if self._unseen_bytes < PARTIAL_BYTES:
            return None
        self._unseen_bytes = 0
        return self._text()

    def finish(self) -> tuple[str, str]:
        """End the turn. Returns its text, "" for nothing understood, and the means for the next one."""
        self._decode(PAD)
        self._decoder.end_utt()
        self._listening = False
        if len(self._audio) <= SECOND_PASS_BYTES and self._means_were_far():
            self._decoder.reinit_feat()
            self._decoder.start_utt()
            self._decoder.process_raw(bytes(self._audio), full_utt=True)
            self._decoder.end_utt()
        return self._text(), self._decoder.get_cmn(False)

    def drop(self) -> None:
        """Forget the turn, if there is one."""
        if self._listening:
            self._decoder.end_utt()
            self._listening = False

    def _decode(self, pcm: bytes) -> None:
        if len(self._audio) <= SECOND_PASS_BYTES:
            self._audio += pcm
        if pcm:
            self._decoder.process_raw(bytes(pcm))

    def _text(self) -> str:
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""

    def _means_were_far(self) -> bool:
        """Whether this turn's own means are far from those it was decoded with. Learned ones are a mix of both."""
        frames: int = self._decoder.n_frames()
        learned = _numbers(self._decoder.get_cmn(False))
        share = frames / (LEARNED_FRAMES + frames)
        return math.dist(_numbers(self._means), learned) > FAR_MEANS * share


def _numbers(means: str) -> list[float]:
    return [float(number) for number in means.split(",")]
