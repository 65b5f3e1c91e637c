"""A voice that reads a text into a file: eSpeak NG by its C interface, apart from the relay's own use of it.

`python recorded_voice.py TEXT FILE` writes PCM16 mono. A process of its own, because the library has one state for all.
"""

from __future__ import annotations

import ctypes
import sys
import wave

import espeakng_loader

SYNCHRONOUS, DO_NOT_EXIT, BY_CHARACTER, UTF8, WORDS_PER_MINUTE = 2, 0x8000, 1, 1, 1
"""Constants of `speak_lib.h`."""

VOICE, PACE = b"en-us+f2", 155
"""Of twelve voices the one that PocketSphinx understands at any pitch, between 140 and 170 words a minute."""


def speak(text: str) -> tuple[bytes, int]:
    """The samples of `text` and their rate."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    samples = bytearray()

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def spoken(sound: ctypes._Pointer[ctypes.c_short], count: int, events: int) -> int:
        if sound and count > 0:
            samples.extend(ctypes.string_at(sound, count * 2))
        return 0

    rate_hz = library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), DO_NOT_EXIT)
    library.espeak_SetSynthCallback(spoken)
    library.espeak_SetVoiceByName(VOICE)
    library.espeak_SetParameter(WORDS_PER_MINUTE, PACE, 0)
    words = text.encode()
    library.espeak_Synth(words, len(words) + 1, 0, BY_CHARACTER, 0, UTF8, None, None)
    return bytes(samples), rate_hz


if __name__ == "__main__":
    pcm, rate = speak(sys.argv[1])
    with wave.open(sys.argv[2], "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(rate)
        sink.writeframes(pcm)
