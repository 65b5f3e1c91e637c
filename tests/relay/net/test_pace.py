"""How fast a caller may send."""

from __future__ import annotations

from relay import limits
from relay.net.pace import Pace
from relay.nouns import MULAW8K, PCM24

FRAME = bytes(PCM24.bytes_per_second // 50)


def send(pace: Pace, speed: float, seconds: float, start: float = 0.0) -> float:
    """Frames of 20 ms at `speed` times real time, waiting as asked; returns the time at the end."""
    now, end = start, start + seconds
    while now < end:
        stall_s = pace.message(now)
        pace.audio(FRAME)
        now += max(0.02 / speed, stall_s)
    return now


def test_real_time_audio_is_never_stalled() -> None:
    pace = Pace(0.0)
    now = 0.0
    for _ in range(10_000):
        assert pace.message(now) == 0.0
        pace.audio(FRAME)
        now += 0.02


def test_clip_of_a_minute_at_once_is_taken_without_a_stall() -> None:
    pace = Pace(0.0)
    pace.message(0.0)
    pace.audio(bytes(int(limits.MAX_AUDIO_BURST_S * PCM24.bytes_per_second)))
    assert pace.message(0.01) == 0.0


def test_text_counts_as_the_bytes_that_its_base64_stands_for() -> None:
    by_text, by_bytes = Pace(0.0), Pace(0.0)
    by_text.audio("A" * 4_000_000)
    by_bytes.audio(bytes(3_000_000))
    assert by_text.message(0.0) == by_bytes.message(0.0) > 0.0


def test_format_decides_how_long_audio_lasts() -> None:
    pace = Pace(0.0)
    pace.listen_to(MULAW8K)
    pace.audio(bytes(int(limits.MAX_AUDIO_BURST_S * MULAW8K.bytes_per_second) + 8_000))
    assert 0.0 < pace.message(0.0) < 1.0


def test_fifty_times_real_time_is_stalled_then_too_fast() -> None:
    pace = Pace(0.0)
    now = send(pace, 50.0, 60.0)
    pace.message(now)
    assert pace.is_too_fast(now)


def test_audio_just_below_the_limit_may_go_on_for_ever() -> None:
    pace = Pace(0.0)
    now = send(pace, limits.MAX_AUDIO_SPEED * 0.95, 120.0)
    assert not pace.is_too_fast(now)


def test_pause_forgives_a_caller_that_was_stalled() -> None:
    pace = Pace(0.0)
    now = send(pace, 50.0, 5.0)
    pace.message(now)
    now += limits.MAX_AUDIO_BURST_S / limits.MAX_AUDIO_SPEED
    assert pace.message(now) == 0.0
    assert not pace.is_too_fast(now + limits.TOO_FAST_GRACE_S)


def test_flood_of_tiny_messages_is_stalled_then_too_fast() -> None:
    pace = Pace(0.0)
    for _ in range(limits.MAX_MESSAGES_PER_S):
        assert pace.message(0.0) == 0.0
    assert pace.message(0.0) > 0.0
    assert not pace.is_too_fast(0.0)
    now = 0.0
    while now < limits.TOO_FAST_GRACE_S + 1:
        now += pace.message(now) / 2
    assert pace.is_too_fast(now)


def test_bad_frames_are_forgiven_up_to_the_limit_in_a_window() -> None:
    pace = Pace(0.0)
    assert not any(pace.is_too_bad(1.0) for _ in range(limits.MAX_BAD_FRAMES))
    assert pace.is_too_bad(1.0)


def test_bad_frames_of_an_earlier_window_do_not_count() -> None:
    pace = Pace(0.0)
    for _ in range(limits.MAX_BAD_FRAMES):
        pace.is_too_bad(1.0)
    assert not pace.is_too_bad(1.1 + limits.BAD_FRAME_WINDOW_S)
