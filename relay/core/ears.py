"""The caller's audio, from its wire format to what the model gets of it.

With turn detection by the relay the model hears turns only: from the padding before the detected start to the detected
end. Everything is counted in audio time, milliseconds of caller audio since the session began, so a caller that sends
faster than real time, and a judge that answers late, lead to the same cuts.
"""

from __future__ import annotations

import binascii
from collections import deque

from relay.audio.convert import Converter
from relay.core.hearing import Hearing, JudgeNeeded, Offset, Onset
from relay.nouns import PCM16K, AudioFormat, TurnDetection

Finding = JudgeNeeded | Onset | Offset


def samples_of(audio: str | bytes) -> bytes | None:
    """The bytes of an audio payload; None when it is not base64 of the standard alphabet."""
    if isinstance(audio, bytes):
        return audio
    try:
        return binascii.a2b_base64(audio, strict_mode=True)
    except ValueError:
        return None


class AudioQueue:
    """Audio that is not forwarded yet, by its position in milliseconds since the session began."""

    def __init__(self, form: AudioFormat) -> None:
        self.form = form
        self._chunks: deque[bytes] = deque()  # bounded: `Ears` trims it to the padding, or drains it
        self._held_bytes = 0
        self._dropped_bytes = 0

    @property
    def start_ms(self) -> float:
        """Position of the oldest byte held."""
        return self.form.duration_ms(self._dropped_bytes)

    @property
    def end_ms(self) -> float:
        """Position behind the newest byte."""
        return self.form.duration_ms(self._dropped_bytes + self._held_bytes)

    def put(self, audio: bytes) -> None:
        self._chunks.append(audio)
        self._held_bytes += len(audio)

    def take_until(self, position_ms: float) -> bytes:
        """Take out everything before a position, cut at a sample."""
        samples = int(position_ms * self.form.rate_hz / 1000.0)
        want = min(samples * self.form.sample_bytes - self._dropped_bytes, self._held_bytes)
        if want <= 0:
            return b""
        taken, size = [], 0
        while size < want:
            chunk = self._chunks.popleft()
            if size + len(chunk) > want:
                keep = want - size
                self._chunks.appendleft(chunk[keep:])
                chunk = chunk[:keep]
            taken.append(chunk)
            size += len(chunk)
        self._held_bytes -= size
        self._dropped_bytes += size
        return taken[0] if len(taken) == 1 else b"".join(taken)


class Ears:
    """Conversion, turn detection and the padding, for one session.

    Args:
        caller: what the caller sends.
        model: what the model takes; None: the caller's own format.
        detection: None: push to talk, everything is forwarded as it comes.
        judged: whether a speech judge answers `JudgeNeeded`.
    """

    def __init__(
        self, caller: AudioFormat, model: AudioFormat | None, detection: TurnDetection | None, judged: bool
    ) -> None:
        self._judged = judged
        self._model = model
        self.detection = detection
        self._hearing: Hearing | None = None
        self._base_ms = 0.0
        self._hearing_base_ms = 0.0
        self._listen(caller)

    def _listen(self, caller: AudioFormat) -> None:
        self.caller = caller
        form = self._model or caller
        self._convert = Converter(caller, form)
        self._queue = AudioQueue(form)
        self._shared = form == PCM16K
        """The detector takes what the model takes: one conversion serves both."""
        self._to_detector = None if self._shared else Converter(caller, PCM16K)
        self._start_hearing()

    def _start_hearing(self) -> None:
        self._hearing = Hearing(self.detection, self._judged) if self.detection else None
        self._hearing_base_ms = self._queue.end_ms

    @property
    def position_ms(self) -> float:
        """Caller audio since the session began."""
        return self._base_ms + self._queue.end_ms

    @property
    def untouched(self) -> bool:
        """Nothing is converted or looked at, here or at the model: frames may be forwarded as they came."""
        return self._hearing is None and self._model is None

    def reconfigure(self, caller: AudioFormat, detection: TurnDetection | None) -> None:
        """The settings changed; a turn in progress is forgotten when the format or the kind of detection changes."""
        if caller != self.caller:
            self._base_ms = self.position_ms
            self.detection = detection
            self._listen(caller)
        elif detection is None or self._hearing is None:
            self.detection = detection
            self._start_hearing()
        elif detection != self.detection:
            self.detection = detection
            self._hearing.reconfigure(detection)

    def append(self, audio: bytes) -> list[Finding]:
        """Caller audio in the caller's format, in any chunking. Cost: a conversion or two and the gate."""
        converted = self._convert.convert(audio)
        if converted:
            self._queue.put(converted)
        if self._hearing is None:
            return []
        heard = converted if self._to_detector is None else self._to_detector.convert(audio)
        findings = self._hearing.feed(heard) if heard else []
        return findings

    def judge(self, first_window: int, probabilities: list[float]) -> list[Finding]:
        """The judge's answer to an earlier `JudgeNeeded`."""
        return [] if self._hearing is None else self._hearing.judged(first_window, probabilities)

    def open_turn(self, onset: Onset) -> int:
        """A turn begins: audio before its padding is let go. Returns its start on the session's time line."""
        start_ms = self._hearing_base_ms + onset.start_ms
        self._queue.take_until(start_ms)
        return int(self._base_ms + max(start_ms, self._queue.start_ms))

    def turn_audio(self) -> bytes:
        """Audio of the open turn that is known to belong to it and was not taken yet, in the model's format."""
        if self._hearing is None:
            return self._queue.take_until(self._queue.end_ms)
        return self._queue.take_until(self._hearing_base_ms + self._hearing.decided_ms)

    def close_turn(self, offset: Offset) -> tuple[bytes, int]:
        """The turn ends: the rest of its audio, and its end on the session's time line."""
        end_ms = self._hearing_base_ms + offset.end_ms
        return self._queue.take_until(end_ms), int(self._base_ms + end_ms)

    def end_here(self) -> Offset:
        """The end of a turn that goes on for too long."""
        return Offset(int(self._queue.end_ms - self._hearing_base_ms))

    def everything(self) -> bytes:
        """All audio not taken yet; the detector forgets the turn."""
        self.forget()
        return self._queue.take_until(self._queue.end_ms)

    def forget(self) -> None:
        """The caller took back what it said."""
        if self._hearing is not None:
            self._hearing.reset()

    def drop(self) -> None:
        """Forget all audio that was not taken."""
        self.forget()
        self._queue.take_until(self._queue.end_ms)

    def trim(self) -> None:
        """Between turns: keep the padding and what is not decided yet."""
        if self._hearing is None or self.detection is None:
            return
        kept_from_ms = self._hearing.decided_ms - self.detection.prefix_padding_ms
        self._queue.take_until(self._hearing_base_ms + kept_from_ms)
