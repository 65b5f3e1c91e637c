"""One answer of a cascade: from the chat model's text to speech and the words that belong to it.

Sentences are spoken as they become complete, one after the other, and not further ahead of what is being heard than
limits.SPEECH_LEAD_MS. Each word is reported with the audio in which it is spoken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from relay import limits
from relay.commands import Command, Emit, Speak
from relay.core.clauses import Clauses
from relay.core.conversation import Entry, with_text
from relay.events import (
    AudioProduced,
    Event,
    OutputItemFinished,
    OutputItemStarted,
    ReplyToolCalled,
    SpeechProduced,
    TextProduced,
    ToolArgumentsProduced,
    ToolCalled,
    TranscriptProduced,
)
from relay.nouns import AudioFormat, Item, Part, ResponseOptions, SpokenWord


@dataclass(slots=True)
class Voice:
    """How an answer is spoken."""

    form: AudioFormat
    name: str | None
    speed: float


@dataclass(slots=True)
class Reply:
    """The state of one answer.

    Args:
        id: the response's id; references of its work are made from it.
        options: what was asked for, with the session's settings filled in where they said nothing.
        voice: None: the answer is written, not spoken.
        new_item_id: makes ids for the items of the answer.
    """

    id: str
    options: ResponseOptions
    voice: Voice | None
    new_item_id: Callable[[], str]
    outputs: list[Entry] = field(default_factory=list)
    message: Entry | None = None
    text: str = ""
    """Of the message: what the chat model has produced."""
    said: str = ""
    """Of the message: what was sent to the caller as transcript."""
    thought: bool = False
    """The chat model is done."""
    asked_to_think: bool = False
    entered: int = 0
    """Outputs that were put into the conversation."""
    input_tokens: int = 0
    output_tokens: int = 0
    _clauses: Clauses = field(default_factory=Clauses)
    _unspoken: list[str] = field(default_factory=list)
    _speaking: str | None = None
    """The reference of the clause being synthesized."""
    _clause: str = ""
    _clause_said: str = ""
    _clause_from_ms: float = 0.0
    _spoken: int = 0
    _played_until: float = 0.0

    # --- from the chat model

    def written(self, delta: str, now: float) -> list[Command]:
        """More text."""
        if not delta:
            return []
        out: list[Command] = []
        if self.message is None:
            out.append(self._begin())
        self.text += delta
        if self.voice is None:
            out.append(Emit(TextProduced(self.id, self._message.item.id, delta, self._index)))
            return out
        self._unspoken += self._clauses.put(delta)
        return out + self.speak(now)

    def complete(self, now: float) -> list[Command]:
        """The chat model is done."""
        self.thought = True
        self._unspoken += self._clauses.rest()
        return self.speak(now)

    def called(self, event: ReplyToolCalled) -> list[Command]:
        """The chat model wants a tool: announced at once, beside what is still being spoken."""
        item = Item(
            self.new_item_id(), "function_call", call_id=event.call_id, name=event.name, arguments=event.arguments
        )
        index = len(self.outputs)
        self.outputs.append(Entry(item))
        begun = replace(item, status="in_progress", arguments="")
        events: list[Event] = [
            OutputItemStarted(self.id, begun, index),
            ToolArgumentsProduced(self.id, item.id, event.call_id, event.arguments, index),
            ToolCalled(self.id, item.id, event.call_id, event.name, event.arguments, index),
            OutputItemFinished(self.id, item, index),
        ]
        return [Emit(each) for each in events]

    # --- to and from the synthesizer

    def speak(self, now: float) -> list[Command]:
        """Have the next clause spoken, when the last one is done and the caller is not too far behind."""
        due = self.next_speech
        if due is None or due > now or self.voice is None:
            return []
        clause = self._unspoken.pop(0)
        self._spoken += 1
        self._speaking = f"{self.id}/s{self._spoken}"
        self._clause, self._clause_said = clause, ""
        return [Speak(self._speaking, clause, self.voice.name, self.voice.speed)]

    @property
    def next_speech(self) -> float | None:
        """When the next clause is due; None while one is being spoken or none waits."""
        if self.voice is None or self._speaking is not None or not self._unspoken:
            return None
        return self._played_until - limits.SPEECH_LEAD_MS / 1000.0

    def sounded(self, event: SpeechProduced, now: float) -> list[Command]:
        """Audio of the clause: its words first, so that they are read as they are heard."""
        if event.ref != self._speaking or self.voice is None or not event.pcm:
            return []
        entry = self._message
        out: list[Command] = []
        begins_ms = entry.audio_ms
        entry.audio_ms += self.voice.form.duration_ms(len(event.pcm))
        self._played_until = max(self._played_until, now) + self.voice.form.duration_ms(len(event.pcm)) / 1000.0
        if not self._clause_said:
            self._clause_from_ms = begins_ms
        words = event.words or (() if self._clause_said else (SpokenWord(self._clause, 0.0),))
        delta = "".join(word.text for word in words)
        entry.words += [SpokenWord(word.text, self._clause_from_ms + word.start_ms) for word in words]
        if delta:
            self._clause_said += delta
            self.said += delta
            out.append(Emit(TranscriptProduced(self.id, entry.item.id, delta, self._index)))
        out.append(Emit(AudioProduced(self.id, entry.item.id, event.pcm, self._index)))
        return out

    def spoke(self, ref: str, now: float) -> list[Command]:
        """The clause is done; what the synthesizer named no words for is said with it."""
        if ref != self._speaking:
            return []
        self._speaking = None
        out: list[Command] = []
        missing = self._clause[len(self._clause_said) :] if self._clause.startswith(self._clause_said) else ""
        if missing:
            self.said += missing
            self._message.words.append(SpokenWord(missing, self._message.audio_ms))
            out.append(Emit(TranscriptProduced(self.id, self._message.item.id, missing, self._index)))
        return out + self.speak(now)

    # --- the end

    @property
    def done(self) -> bool:
        """Nothing more will come."""
        return self.thought and self._speaking is None and not self._unspoken

    @property
    def refs(self) -> list[str]:
        """References of work that may still go on."""
        return [*([self.id] if self.asked_to_think and not self.thought else []), *filter(None, [self._speaking])]

    def finish_message(self, *, cut: bool, heard: tuple[str, int] | None = None) -> list[Command]:
        """Close the message. When cut, its text is what was heard of it, or at least what was sent."""
        if self.message is None:
            return []
        entry = self.message
        text = self.text if self.voice is None else self.said
        if cut and self.voice is not None and heard is not None and heard[0] == entry.item.id:
            entry.heard_ms = heard[1]
        if entry.heard_ms is not None:
            text = entry.heard_text(entry.heard_ms)
        item = with_text(entry.item, text)
        entry.item = replace(item, status="incomplete" if cut else "completed")
        return [Emit(OutputItemFinished(self.id, entry.item, self._index))]

    @property
    def items(self) -> tuple[Item, ...]:
        return tuple(entry.item for entry in self.outputs)

    @property
    def _message(self) -> Entry:
        assert self.message is not None, "text comes before speech"
        return self.message

    @property
    def _index(self) -> int:
        return self.outputs.index(self._message)

    def _begin(self) -> Command:
        kind = Part("output_text" if self.voice is None else "output_audio", text="")
        item = Item(self.new_item_id(), "message", "assistant", "in_progress", (kind,))
        self.message = Entry(item)
        self.outputs.append(self.message)
        return Emit(OutputItemStarted(self.id, item, self._index))
