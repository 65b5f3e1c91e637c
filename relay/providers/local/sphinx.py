"""`local/sphinx`: speech recognition with pocketsphinx and its bundled US English model.

Runs in an engine process (`worker`), one decoder a process, kept warm between turns. How it is tuned, measured on
read speech: one pass and a search over its lattice instead of a second pass (as good, and the final text is there
within a hundredth of the turn's duration instead of a fifteenth), a language weight of 5.5, and the caller's means.

The *means* are what cepstral mean normalization subtracts: the average sound of microphone, room and level. The
decoder starts with its own idea of them and learns slowly, so what it learned is handed back at the caller's next turn
(word error rates of four voices: 0.14 to 0.09, 0.32 to 0.34, 0.21 to 0.19, 0.74 to 0.49). To decode a turn again with
means of its own was tried: it takes as long again, and understands short turns less well.
"""

from __future__ import annotations

from pocketsphinx import Decoder

RATE_HZ = 16_000
PAD = bytes(RATE_HZ // 5 * 2)
"""200 ms of silence at both ends: words at the very edge are lost otherwise."""
PARTIAL_BYTES = RATE_HZ * 2 * 3 // 10
"""How much audio lies between two looks at the words so far: 300 ms."""


class Recognizer:
    """Turns, one after the other. Not thread-safe.

    Units: PCM16 at 16 kHz, whole samples. Delay: a text lags the audio by about 300 ms. Cost: a sixth of the audio's
    duration, 100 MB.
    """

    def __init__(self) -> None:
        self._decoder = Decoder(loglevel="FATAL", lw=5.5, fwdflat=False, bestpath=True, maxhmmpf=5000, maxwpf=20)
        self._own_means = self._decoder.get_cmn(False)
        self._unseen_bytes = 0
        self._listening = False

    def start(self, means: str | None = None) -> None:
        """Begin a turn; one that is under way is forgotten.

        Args:
            means: what `finish` gave for this caller's last turn.
        """
        self.drop()
        self._decoder.reinit_feat()
        self._decoder.set_cmn(means or self._own_means)
        self._decoder.start_utt()
        self._decoder.process_raw(PAD)
        self._unseen_bytes = 0
        self._listening = True

    def hear(self, pcm: bytes) -> str | None:
        """More audio of the turn. Returns the whole text so far when it is time to look, else None."""
        if pcm:
            self._decoder.process_raw(pcm)
        self._unseen_bytes += len(pcm)
        if self._unseen_bytes < PARTIAL_BYTES:
            return None
        self._unseen_bytes = 0
        return self._text()

    def finish(self) -> tuple[str, str]:
        """End the turn. Returns its text, "" for nothing understood, and the means for the next one."""
        self._decoder.process_raw(PAD)
        self._decoder.end_utt()
        self._listening = False
        return self._text(), self._decoder.get_cmn(True)

    def drop(self) -> None:
        """Forget the turn, if there is one."""
        if self._listening:
            self._decoder.end_utt()
            self._listening = False

    def _text(self) -> str:
        hypothesis = self._decoder.hyp()
        return hypothesis.hypstr if hypothesis else ""
