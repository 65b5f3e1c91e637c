"""Engines that answer at once: every turn was "hello relay", the chat model repeats it, speech is silence."""

from __future__ import annotations

from relay.commands import Command, Drop, FinishListening, Speak, Think
from relay.events import ReplyFinished, ReplyProduced, SpeechFinished, SpeechProduced, TranscriptHeard
from relay.net.parts import Sink
from relay.nouns import SpokenWord

HEARD = "hello relay"
SPOKEN_MS = 300


class ScriptedEngines:
    """In place of `net.engines.LocalEngines`."""

    def __init__(self) -> None:
        self.open: set[ScriptedEngineSession] = set()
        """Sessions that were not closed."""

    def session(self, sink: Sink) -> ScriptedEngineSession:
        made = ScriptedEngineSession(self, sink)
        self.open.add(made)
        return made


class ScriptedEngineSession:
    """One conversation's share."""

    def __init__(self, house: ScriptedEngines, sink: Sink) -> None:
        self._house = house
        self._sink = sink

    def do(self, command: Command) -> None:
        match command:
            case FinishListening():
                self._sink(TranscriptHeard(command.ref, HEARD, final=True))
            case Think():
                said = next((part.text for item in reversed(command.history) for part in item.content if part.text), "")
                self._sink(ReplyProduced(command.ref, f"You said: {said}."))
                self._sink(ReplyFinished(command.ref, 5, 7))
            case Speak():
                pcm = bytes(22_050 * 2 * SPOKEN_MS // 1000 // 2 * 2)
                self._sink(SpeechProduced(command.ref, pcm, (SpokenWord(command.text, 0.0),)))
                self._sink(SpeechFinished(command.ref))
            case Drop():
                pass

    def close(self) -> None:
        self._house.open.discard(self)
