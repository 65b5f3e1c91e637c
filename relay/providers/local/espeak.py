"""`local/espeak`: speech synthesis with eSpeak NG, through its C library (speak_lib.h, API revision 12).

Runs in an engine process (`worker`): the library is one global state and cannot be interrupted from outside. It makes
about 400 seconds of speech a second.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

RATE_HZ = 22_050
"""What `espeak_Initialize` returns for the voices of the bundled data."""
CHUNK_MS = 100
DEFAULT_VOICE = "en-us+mike2"
NORMAL_WPM = 165
"""Words a minute at speed 1, and the voice: together what `local/sphinx` understands best of 85 variants, so that the
relay can be tested with speech that it makes itself (word error rate 0.2; at 160 or 170 a minute it is 0.4)."""
VOICES = (
    DEFAULT_VOICE, "en-us", "en-us+f2", "en-us+f3", "en-us+f5", "en-us+m3", "en-us+m6", "en-gb-x-rp", "en-gb-x-rp+f2",
    "en-029", "de", "es", "fr", "it", "pt",
)  # fmt: skip
"""What is offered. Any language of eSpeak NG works, with any of its variants after a plus sign."""
MIN_WPM, MAX_WPM = 80, 450

_VOICE_NAME = re.compile(r"[a-z]{2,3}(-[a-z0-9]+)*(\+[a-z0-9]+)?", re.IGNORECASE)
_WORD = re.compile(r"\s*\S+\s*|\s+")
_SYNCHRONOUS = 2
_RATE, _CHARACTER = 1, 1
_UTF8, _END_PAUSE = 0x1, 0x1000
_WORD_EVENT = 1

Words = list[tuple[str, float]]
"""(the word and the white space behind it, its start in milliseconds from the utterance's beginning)"""


class _Event(ctypes.Structure):
    """`espeak_EVENT`; positions count characters from 1, `audio_ms` is from the utterance's beginning."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))


class Speaker:
    """Utterances, one after the other. The library has one global state: two speakers must not speak at once.

    Raises:
        OSError: the library or its data cannot be loaded.
    """

    def __init__(self) -> None:
        import espeakng_loader

        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        if self._library.espeak_Initialize(_SYNCHRONOUS, CHUNK_MS, ctypes.c_char_p(data), 0) != RATE_HZ:
            raise OSError("eSpeak NG cannot use its data")
        self._library.espeak_Synth.argtypes = (
            ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint, ctypes.c_uint,
            ctypes.c_void_p, ctypes.c_void_p,
        )  # fmt: skip
        self._told: Callable[[bytes, list[tuple[int, float]]], None] = lambda pcm, starts: None
        self._callback = _Callback(self._synthesized)  # kept: the library does not

    def speak(self, text: str, voice: str | None, speed: float, out: Callable[[bytes, Words], None]) -> None:
        """Say `text`; an unknown voice is the default one.

        `out` is called with every 100 ms of PCM16 at `RATE_HZ`, and the words that begin in it. All words together are
        exactly `text`. Returns when everything was given out.
        """
        words = TimedWords(text)
        held: tuple[bytes, Words] = (b"", [])

        def told(pcm: bytes, starts: list[tuple[int, float]]) -> None:
            # The last chunk must be known as the last: it takes the words that the library said nothing about.
            nonlocal held
            if held[0]:
                out(*held)
            held = (pcm, words.reached(starts))

        self._use(voice, speed)
        self._told = told
        self._library.espeak_SetSynthCallback(self._callback)  # each time: another speaker may have set its own
        plain = text.replace("\0", " ").encode("utf-8", "replace") + b"\0"
        self._library.espeak_Synth(plain, len(plain), 0, _CHARACTER, 0, _UTF8 | _END_PAUSE, None, None)
        rest = held[1] + words.rest()
        if held[0] or rest:
            out(held[0], rest)

    def _use(self, voice: str | None, speed: float) -> None:
        name = voice if voice and _VOICE_NAME.fullmatch(voice) else DEFAULT_VOICE
        if self._library.espeak_SetVoiceByName(name.encode()) != 0:
            self._library.espeak_SetVoiceByName(DEFAULT_VOICE.encode())
        rate = min(max(round(NORMAL_WPM * speed), MIN_WPM), MAX_WPM)
        self._library.espeak_SetParameter(_RATE, rate, 0)

    def _synthesized(self, wav: int | None, samples: int, events: Any) -> int:
        """The library's callback; 0 means go on. `wav` is NULL at the end."""
        starts = []
        for event in _until_zero(events):
            if event.type == _WORD_EVENT:
                starts.append((event.text_position - 1, float(event.audio_ms)))
        if wav and samples:
            self._told(ctypes.string_at(wav, samples * 2), starts)
        return 0


class TimedWords:
    """The words of a text, and when each is spoken. Pure.

    The library names positions in the text as it comes to them, but not for everything: "(", a dash or an emoji may be
    passed over, "1984" and "well-known" have several. A word here is what stands between white space; its start is the
    first position named in it, or that of the next word that has one.
    """

    def __init__(self, text: str) -> None:
        self._words = _WORD.findall(text)
        lengths = [0]
        for word in self._words:
            lengths.append(lengths[-1] + len(word))
        self._spans = list(pairwise(lengths))
        self._next = 0
        self._last_ms = 0.0

    def reached(self, starts: list[tuple[int, float]]) -> Words:
        """The words that begin now, given (position in the text from 0, milliseconds) pairs in order."""
        out: Words = []
        if self._next == 0 and self._words:
            out += self._until(1)  # the first word begins with the sound
        for position, at_ms in starts:
            begun = sum(1 for begin, _ in self._spans[self._next :] if begin <= position)
            self._last_ms = max(self._last_ms, at_ms)
            out += self._until(self._next + begun)
        return out

    def rest(self) -> Words:
        """The words that were never named."""
        return self._until(len(self._words))

    def _until(self, end: int) -> Words:
        taken = [(word, self._last_ms) for word in self._words[self._next : end]]
        self._next = max(self._next, end)
        return taken


def _until_zero(events: Any) -> Iterator[_Event]:
    """The entries of a C array that ends with an event of type 0."""
    index = 0
    while events[index].type:
        yield events[index]
        index += 1
