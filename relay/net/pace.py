"""How fast one caller may send: two token buckets, and the patience with a caller that keeps them empty. Pure."""

from __future__ import annotations

from relay import limits
from relay.nouns import PCM24, AudioFormat


class Pace:
    """Told of every frame; answers how long not to read on. `now` is seconds, monotonic."""

    __slots__ = ("_audio_s", "_bad_since", "_bad_frames", "_bytes_per_s", "_messages", "_seen_at", "_throttled_at")

    def __init__(self, now: float) -> None:
        self._seen_at = now
        self._messages = float(limits.MAX_MESSAGES_PER_S)
        self._audio_s = limits.MAX_AUDIO_BURST_S
        self._bytes_per_s = PCM24.bytes_per_second
        self._throttled_at: float | None = None
        self._bad_since = now
        self._bad_frames = 0

    def listen_to(self, audio_format: AudioFormat) -> None:
        """What the caller's audio is measured by from now on."""
        self._bytes_per_s = audio_format.bytes_per_second

    def message(self, now: float) -> float:
        """A frame came. Returns for how many seconds nothing should be read; 0.0 nearly always."""
        passed = now - self._seen_at
        self._seen_at = now
        messages = self._messages + passed * limits.MAX_MESSAGES_PER_S - 1.0
        self._messages = min(messages, limits.MAX_MESSAGES_PER_S)
        self._audio_s = min(self._audio_s + passed * limits.MAX_AUDIO_SPEED, limits.MAX_AUDIO_BURST_S)
        if messages >= 0.0 and self._audio_s >= 0.0:
            self._throttled_at = None
            return 0.0
        if self._throttled_at is None:
            self._throttled_at = now
        return max(-messages / limits.MAX_MESSAGES_PER_S, -self._audio_s / limits.MAX_AUDIO_SPEED)

    def audio(self, audio: str | bytes) -> None:
        """The frame of the last `message` carried this; base64 when it is text."""
        size = len(audio) * 0.75 if type(audio) is str else len(audio)
        self._audio_s -= size / self._bytes_per_s

    def is_too_fast(self, now: float) -> bool:
        """Whether the caller was throttled without a pause for limits.TOO_FAST_GRACE_S."""
        return self._throttled_at is not None and now - self._throttled_at >= limits.TOO_FAST_GRACE_S

    def is_too_bad(self, now: float) -> bool:
        """A frame was rejected; whether that makes limits.MAX_BAD_FRAMES within limits.BAD_FRAME_WINDOW_S."""
        if now - self._bad_since > limits.BAD_FRAME_WINDOW_S:
            self._bad_since, self._bad_frames = now, 0
        self._bad_frames += 1
        return self._bad_frames > limits.MAX_BAD_FRAMES
