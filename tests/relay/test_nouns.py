from __future__ import annotations

import pytest

from relay.nouns import ALAW8K, MULAW8K, PCM16K, PCM24, AudioFormat, Settings, TurnDetection


@pytest.mark.parametrize(
    ("form", "bytes_per_second"),
    [(PCM24, 48_000), (PCM16K, 32_000), (MULAW8K, 8_000), (ALAW8K, 8_000), (AudioFormat("pcm16", 48_000), 96_000)],
)
def test_second_of_audio_has_its_bytes(form: AudioFormat, bytes_per_second: int) -> None:
    assert form.bytes_per_second == bytes_per_second
    assert form.duration_ms(bytes_per_second) == 1000.0
    assert form.duration_ms(bytes_per_second // 50) == 20.0


def test_defaults_are_those_of_the_openai_protocol() -> None:
    """OpenAI Realtime sections 3.3, 3.4 and 6.1."""
    settings = Settings()
    assert (settings.input_format, settings.output_format) == (PCM24, PCM24)
    assert settings.transcription is None
    assert settings.turn_detection == TurnDetection("server_vad", 0.5, 300, 500, True, True, None)
