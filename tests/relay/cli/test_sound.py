"""WAV files of every kind, the account of what was played, pacing, and missing devices."""

import asyncio
import sys
import threading
import types
import wave

import numpy as np
import pytest

from relay.cli import sound
from relay.cli.sound import (
    BLOCK_BYTES,
    RATE_HZ,
    FileSpeaker,
    Heard,
    NoDevice,
    Playback,
    from_file,
    from_microphone,
    open_device,
    read_wav,
    silence,
)
from relay.errors import RelayError


def tone_file(path, rate=24_000, channels=1, width=2, seconds=0.5):
    """A file with 440 Hz at half volume in every channel."""
    wave_form = 0.5 * np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
    if width == 1:
        raw = np.rint(wave_form * 127 + 128).astype(np.uint8)[:, None].repeat(channels, 1).tobytes()
    else:
        whole = np.rint(wave_form * (2 ** (8 * width - 1) - 1)).astype("<i8")[:, None].repeat(channels, 1)
        raw = whole.copy().view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(raw)
    return path


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 24_000, 44_100, 48_000])
@pytest.mark.parametrize(("channels", "width"), [(1, 2), (2, 2), (1, 1), (2, 3), (1, 4)])
def test_wav_of_any_rate_channels_and_width_keeps_pitch_volume_and_length(tmp_path, rate, channels, width):
    samples = np.frombuffer(read_wav(tone_file(tmp_path / "in.wav", rate, channels, width)), "<i2").astype(float)
    assert len(samples) == pytest.approx(RATE_HZ / 2, abs=2)
    middle = samples[len(samples) // 4 : len(samples) // 4 + 4800]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * RATE_HZ / len(middle) == pytest.approx(440, abs=5)
    assert np.sqrt(np.mean((middle / 32768) ** 2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.02)


def test_pcm16_at_our_rate_is_read_bit_for_bit(tmp_path):
    path = tone_file(tmp_path / "in.wav")
    with wave.open(str(path)) as file:
        assert read_wav(path) == file.readframes(file.getnframes())


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wav file at all, not even close", b"RIFF\x24\0\0\0WAVEfmt "])
def test_file_that_is_no_wav_is_refused_with_a_remedy(tmp_path, content):
    (tmp_path / "in.wav").write_bytes(content)
    with pytest.raises(RelayError, match="ffmpeg -i"):
        read_wav(tmp_path / "in.wav")


def test_missing_file_is_refused_by_name(tmp_path):
    with pytest.raises(RelayError, match=r"absent\.wav: No such file"):
        read_wav(tmp_path / "absent.wav")


def test_played_audio_comes_out_in_order_and_silence_fills_up():
    playback = Playback()
    playback.push("a", b"\1\1" * 3)
    playback.push("b", b"\2\2" * 3)
    assert playback.pull(8) == b"\1\1" * 3 + b"\2\2"
    assert playback.pull(8) == b"\2\2" * 2 + bytes(4)
    assert playback.pull(4) == bytes(4)


@pytest.mark.parametrize(("pulled_ms", "heard"), [(0, Heard("a", 0)), (20, Heard("a", 20)), (100, Heard("b", 40))])
def test_flush_says_how_much_of_the_current_item_was_heard(pulled_ms, heard):
    playback = Playback()
    playback.push("a", bytes(48 * 60))
    playback.push("b", bytes(48 * 60))
    playback.pull(48 * pulled_ms)
    assert playback.queued_ms == 120 - pulled_ms
    assert playback.flush() == heard
    assert playback.queued_ms == 0
    assert playback.flush() is None


def test_item_that_waits_behind_a_heard_one_was_not_heard():
    playback = Playback()
    playback.push("a", bytes(48 * 20))
    playback.push("b", bytes(48 * 20))
    playback.pull(48 * 20)
    assert playback.flush() == Heard("b", 0)


def test_answer_longer_than_the_bound_is_not_kept(monkeypatch):
    monkeypatch.setattr(sound, "MAX_QUEUED_BYTES", 100)
    playback = Playback()
    playback.push("a", bytes(100))
    playback.push("a", bytes(2))
    assert playback.queued_ms == 100 * 1000 // 48_000


async def take(blocks, count):
    taken = []
    async for block in blocks:
        taken.append(block)
        if len(taken) == count:
            break
    await blocks.aclose()
    return taken


def test_recording_comes_in_blocks_filled_up_with_silence():
    first, second = asyncio.run(take(from_file(b"\1" * (BLOCK_BYTES + 2)), 9))
    assert first == b"\1" * BLOCK_BYTES
    assert second == b"\1\1" + bytes(BLOCK_BYTES - 2)


def test_silence_does_not_end():
    assert asyncio.run(take(silence(), 3)) == [bytes(BLOCK_BYTES)] * 3


def test_what_was_played_is_in_the_file(tmp_path):
    async def run():
        speaker = FileSpeaker(tmp_path / "out.wav")
        await speaker.write(b"\1\2" * (BLOCK_BYTES // 2))
        speaker.close()

    asyncio.run(run())
    assert read_wav(tmp_path / "out.wav") == b"\1\2" * (BLOCK_BYTES // 2)


def test_file_that_cannot_be_written_is_refused_by_name(tmp_path):
    with pytest.raises(RelayError, match=r"no/out\.wav: No such file or directory"):
        FileSpeaker(tmp_path / "no" / "out.wav")


def fake_sounddevice(monkeypatch, stream_class):
    """The part of `sounddevice` that we use; there is no sound hardware where tests run."""
    module = types.ModuleType("sounddevice")
    module.PortAudioError = type("PortAudioError", (Exception,), {})
    module.RawInputStream = module.RawOutputStream = stream_class
    monkeypatch.setitem(sys.modules, "sounddevice", module)
    return module


def test_machine_without_sound_support_is_told_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(NoDevice, match="--input FILE"):
        open_device("RawInputStream")


def test_machine_without_a_microphone_is_told_what_to_do(monkeypatch):
    module = fake_sounddevice(monkeypatch, lambda **_: (_ for _ in ()).throw(module.PortAudioError()))
    with pytest.raises(NoDevice, match="no microphone here: give --input FILE"):
        open_device("RawInputStream")


def test_microphone_blocks_arrive_from_the_thread_of_the_library(monkeypatch):
    class Microphone:
        closed = False

        def __init__(self, *, samplerate, channels, dtype, blocksize, callback):
            assert (samplerate, channels, dtype, blocksize * 2) == (RATE_HZ, 1, "int16", BLOCK_BYTES)
            self.callback = callback

        def start(self):
            threading.Thread(target=self.capture).start()

        def capture(self):
            for block in (b"1", b"2"):
                self.callback(memoryview(block), 1, None, None)

        def close(self):
            Microphone.closed = True

    fake_sounddevice(monkeypatch, Microphone)
    assert asyncio.run(take(from_microphone(), 2)) == [b"1", b"2"]
    assert Microphone.closed
