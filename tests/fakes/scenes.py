"""Conversations that tests begin with."""

from __future__ import annotations

from relay import commands as c
from relay import events as e
from relay.nouns import Settings, SpokenWord, Transcription, TurnDetection
from tests.fakes.stage import MS_16K, Stage

VAD = TurnDetection()


def stage(detection: TurnDetection | None = VAD, **plan: object) -> Stage:
    """An open session in front of a cascade, with transcripts and a scripted detector."""
    settings = Settings(model="local/agent", turn_detection=detection, transcription=Transcription())
    return Stage(settings, **plan).open()


def replying(play: Stage, *, speech_ms: int = 2000) -> Stage:
    """An answer is being spoken: `speech_ms` of it were sent, a word each 100 ms, and more is being thought of."""
    play.turn("tell me a story")
    play.engine(e.ReplyProduced(play.last_work(c.Think).ref, "Once upon a time there was a fox. And "))
    words = tuple(SpokenWord(f"w{n} ", n * 100.0) for n in range(speech_ms // 100))
    return play.engine(e.SpeechProduced(play.last_work(c.Speak).ref, MS_16K * speech_ms, words))


def names(events: list[e.Event]) -> list[str]:
    return [type(event).__name__ for event in events]
