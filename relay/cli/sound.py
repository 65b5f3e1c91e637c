"""What a terminal hears and says: WAV files, microphone and speaker, and the account of what was played.

Everything inside is PCM16 mono at 24 kHz, in blocks of 20 ms: what `audio/pcm` means in the OpenAI Realtime protocol.
"""

from __future__ import annotations

import asyncio
import wave
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import soxr

from relay.errors import RelayError

RATE_HZ = 24_000
BLOCK_MS = 20
BLOCK_BYTES = RATE_HZ * 2 * BLOCK_MS // 1000
MAX_QUEUED_BYTES = RATE_HZ * 2 * 600
"""Ten minutes of answer may wait to be played; beyond it audio is dropped."""
MICROPHONE_BLOCKS = 50
"""One second of microphone may wait for the network; beyond it the oldest is dropped."""


class NoDevice(RelayError):
    """This machine has no microphone or speaker that we can use."""


@dataclass(frozen=True, slots=True)
class Heard:
    """How much of an item was played when it was cut."""

    item_id: str
    played_ms: int


class Playback:
    """Audio of answers on its way to the ear: what waits, and how much of the current item was heard."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[str, bytes]] = deque()  # bounded: by MAX_QUEUED_BYTES
        self._waiting_bytes = 0
        self._item_id: str | None = None
        self._played_bytes = 0

    @property
    def queued_ms(self) -> int:
        """What has not been played yet."""
        return self._waiting_bytes * 1000 // (RATE_HZ * 2)

    def push(self, item_id: str, pcm: bytes) -> None:
        """More audio of an item."""
        if pcm and self._waiting_bytes + len(pcm) <= MAX_QUEUED_BYTES:
            self._waiting.append((item_id, pcm))
            self._waiting_bytes += len(pcm)

    def pull(self, size: int) -> bytes:
        """The next `size` bytes for the speaker; silence where there is nothing to play."""
        out = bytearray()
        while self._waiting and len(out) < size:
            item_id, pcm = self._waiting.popleft()
            piece, rest = pcm[: size - len(out)], pcm[size - len(out) :]
            if item_id != self._item_id:
                self._item_id, self._played_bytes = item_id, 0
            if rest:
                self._waiting.appendleft((item_id, rest))
            out += piece
            self._played_bytes += len(piece)
            self._waiting_bytes -= len(piece)
        return bytes(out) + bytes(size - len(out))

    def flush(self) -> Heard | None:
        """Forget what waits; says what was cut, None when nothing was."""
        if not self._waiting:
            return None
        item_id = self._waiting[0][0]
        heard = self._played_bytes if item_id == self._item_id else 0
        self._waiting.clear()
        self._waiting_bytes = 0
        return Heard(item_id, heard * 1000 // (RATE_HZ * 2))


def read_wav(path: Path) -> bytes:
    """A WAV file as PCM16 mono 24 kHz, whatever integer width, rate and number of channels it has.

    Raises:
        RelayError: the file cannot be read or is not integer PCM; says what to do.
    """
    try:
        with wave.open(str(path), "rb") as file:
            width, rate, channels = file.getsampwidth(), file.getframerate(), file.getnchannels()
            raw = file.readframes(file.getnframes())
    except OSError as error:
        raise RelayError(f"{path}: {error.strerror or 'cannot be read'}") from None
    except (wave.Error, EOFError):
        raise RelayError(f"{path} is not a PCM WAV file; ffmpeg -i {path} -c:a pcm_s16le out.wav makes one") from None
    raw = raw[: len(raw) // (width * channels) * width * channels]
    if width == 1:
        samples = (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128
    else:  # the two highest bytes of every sample: PCM is little-endian
        high = np.frombuffer(raw, np.uint8).reshape(-1, width)[:, -2:].copy()
        samples = high.view("<i2").reshape(-1).astype(np.float32) / 32768
    mono = samples.reshape(-1, channels).mean(axis=1)
    mono = soxr.resample(mono, rate, RATE_HZ) if rate != RATE_HZ else mono
    pcm: bytes = np.clip(np.rint(mono * 32768), -32768, 32767).astype("<i2").tobytes()
    return pcm


class Speaker(Protocol):
    """Where played audio goes."""

    async def write(self, block: bytes) -> None:
        """Take one block; returns when it is time for the next one."""
        ...

    def close(self) -> None:
        """Nothing more will be played."""
        ...


class Clock:
    """Returns from `tick` once a block, without drifting."""

    def __init__(self) -> None:
        self._next: float | None = None

    async def tick(self) -> None:
        """Wait until one block after the last tick."""
        now = asyncio.get_running_loop().time()
        self._next = (now if self._next is None else self._next) + BLOCK_MS / 1000
        await asyncio.sleep(max(0.0, self._next - now))


class FileSpeaker:
    """Plays in real time into a WAV file, or nowhere."""

    def __init__(self, path: Path | None) -> None:
        self._clock = Clock()
        self._raw: BinaryIO | None = None
        self._file: wave.Wave_write | None = None
        if path is not None:
            try:
                self._raw = path.open("wb")
            except OSError as error:
                raise RelayError(f"{path}: {error.strerror or 'cannot be written'}") from None
            self._file = wave.open(self._raw, "wb")  # noqa: SIM115 - closed by `close`
            self._file.setnchannels(1)
            self._file.setsampwidth(2)
            self._file.setframerate(RATE_HZ)

    async def write(self, block: bytes) -> None:
        """See `Speaker`."""
        if self._file is not None:
            self._file.writeframesraw(block)
        await self._clock.tick()

    def close(self) -> None:
        """See `Speaker`; completes the file's header."""
        if self._file is not None and self._raw is not None:
            self._file.close()
            self._raw.close()


class DeviceSpeaker:
    """The machine's loudspeaker."""

    def __init__(self) -> None:
        self._stream = open_device("RawOutputStream", latency="low")

    async def write(self, block: bytes) -> None:
        """See `Speaker`; the device itself keeps the time."""
        await asyncio.to_thread(self._stream.write, block)

    def close(self) -> None:
        """See `Speaker`."""
        self._stream.close()


async def from_file(pcm: bytes) -> AsyncIterator[bytes]:
    """Blocks of a recording in real time; the last one is filled up with silence."""
    clock = Clock()
    for start in range(0, len(pcm), BLOCK_BYTES):
        yield pcm[start : start + BLOCK_BYTES].ljust(BLOCK_BYTES, b"\0")
        await clock.tick()


async def silence() -> AsyncIterator[bytes]:
    """Blocks of nothing in real time, for ever: what a microphone gives when nobody speaks."""
    clock = Clock()
    while True:
        yield bytes(BLOCK_BYTES)
        await clock.tick()


async def from_microphone() -> AsyncIterator[bytes]:
    """Blocks of the machine's microphone, until the iterator is closed."""
    loop = asyncio.get_running_loop()
    blocks: deque[bytes] = deque(maxlen=MICROPHONE_BLOCKS)
    arrived = asyncio.Event()

    def keep(block: bytes) -> None:
        blocks.append(block)
        arrived.set()

    def callback(data: Any, *_: Any) -> None:  # called by a thread of the audio library
        loop.call_soon_threadsafe(keep, bytes(data))

    stream = open_device("RawInputStream", callback=callback)
    try:
        while True:
            await arrived.wait()
            arrived.clear()
            while blocks:
                yield blocks.popleft()
    finally:
        stream.close()


def open_device(kind: str, **options: Any) -> Any:
    """A running stream of `sounddevice`.

    Raises:
        NoDevice: the extra is not installed, or there is no such device; says what to do.
    """
    try:
        import sounddevice
    except ImportError:
        raise NoDevice("no sound support: pip install 'voice-relay[talk]', or give --input FILE or --text") from None
    except OSError:
        raise NoDevice("the PortAudio library is missing (Debian: apt install libportaudio2);"
                       " or give --input FILE or --text") from None
    try:
        stream = getattr(sounddevice, kind)(
            samplerate=RATE_HZ, channels=1, dtype="int16", blocksize=BLOCK_BYTES // 2, **options
        )
        stream.start()
    except sounddevice.PortAudioError:
        what = "microphone" if "Input" in kind else "speaker"
        raise NoDevice(f"no {what} here: give --input FILE or --text, and --output FILE") from None
    return stream
