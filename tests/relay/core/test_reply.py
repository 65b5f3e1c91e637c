"""One answer: sentences are spoken one after the other, words arrive with the audio in which they are heard."""

from __future__ import annotations

from relay import limits
from relay.commands import Command, Emit, Speak
from relay.core.reply import Reply, Voice
from relay.events import (
    AudioProduced,
    OutputItemFinished,
    OutputItemStarted,
    ReplyToolCalled,
    SpeechProduced,
    TextProduced,
    ToolArgumentsProduced,
    ToolCalled,
    TranscriptProduced,
)
from relay.nouns import PCM16K, ResponseOptions, SpokenWord

MS = b"\1\0" * 16


def reply(*, spoken: bool = True) -> Reply:
    ids = iter(f"item_{n}" for n in range(99))
    return Reply("resp_1", ResponseOptions(), Voice(PCM16K, "en", 1.0) if spoken else None, lambda: next(ids))


def kinds(commands: list[Command]) -> list[type]:
    return [type(command.event) if isinstance(command, Emit) else type(command) for command in commands]


def test_first_sentence_is_spoken_before_the_answer_is_complete() -> None:
    out = reply().written("The first sentence is here. And the sec", 0.0)
    assert [command.text for command in out if isinstance(command, Speak)] == ["The first sentence is here. "]


def test_written_answer_is_sent_as_it_comes_and_nothing_is_spoken() -> None:
    answer = reply(spoken=False)
    out = answer.written("Hel", 0.0) + answer.written("lo.", 0.0) + answer.complete(0.0)
    assert kinds(out) == [OutputItemStarted, TextProduced, TextProduced]
    assert answer.done


def test_words_come_with_their_audio_and_before_it() -> None:
    answer = reply()
    speak = answer.written("One two three is a count. Next", 0.0)[-1]
    assert isinstance(speak, Speak)
    words = (SpokenWord("One ", 0.0), SpokenWord("two ", 100.0))
    out = answer.sounded(SpeechProduced(speak.ref, MS * 200, words), 0.0)
    assert kinds(out) == [TranscriptProduced, AudioProduced]
    assert answer.said == "One two "
    out = answer.sounded(SpeechProduced(speak.ref, MS * 100), 0.0)
    assert kinds(out) == [AudioProduced], "no new word begins in this chunk"


def test_words_of_the_second_sentence_lie_behind_the_first() -> None:
    answer = reply()
    answer.written("The first sentence is here. The second sentence. ", 0.0)
    answer.sounded(SpeechProduced("resp_1/s1", MS * 500, (SpokenWord("The first sentence is here. ", 0.0),)), 0.0)
    answer.spoke("resp_1/s1", 0.0)
    answer.sounded(SpeechProduced("resp_1/s2", MS * 500, (SpokenWord("The ", 40.0),)), 0.0)
    assert answer.message is not None
    assert [word.start_ms for word in answer.message.words] == [0.0, 540.0]


def test_words_the_synthesizer_did_not_name_are_said_at_the_end_of_the_clause() -> None:
    answer = reply()
    answer.written("One two three is it. Next one ", 0.0)
    answer.sounded(SpeechProduced("resp_1/s1", MS * 200, (SpokenWord("One ", 0.0),)), 0.0)
    out = answer.spoke("resp_1/s1", 0.0)
    assert [c.event.delta for c in out if isinstance(c, Emit)] == ["two three is it. "]


def test_speech_keeps_to_its_lead_and_goes_on_when_it_is_used_up() -> None:
    answer = reply()
    answer.written("The first sentence is here. The second sentence. The third", 0.0)
    long = MS * (limits.SPEECH_LEAD_MS + 1000)
    answer.sounded(SpeechProduced("resp_1/s1", long), 0.0)
    assert answer.spoke("resp_1/s1", 0.0) == []
    assert answer.next_speech == 1.0
    assert answer.speak(0.9) == []
    assert kinds(answer.speak(1.0)) == [Speak]


def test_tool_call_is_announced_at_once_beside_the_speech() -> None:
    answer = reply()
    answer.written("Let me look that up. ", 0.0)
    out = answer.called(ReplyToolCalled("resp_1", "call_1", "get", '{"a":1}'))
    assert kinds(out) == [OutputItemStarted, ToolArgumentsProduced, ToolCalled, OutputItemFinished]
    assert [c.event.output_index for c in out if isinstance(c, Emit)] == [1, 1, 1, 1]


def test_answer_is_done_when_thought_and_spoken() -> None:
    answer = reply()
    answer.written("Yes indeed it is so.", 0.0)
    answer.complete(0.0)
    assert not answer.done
    answer.sounded(SpeechProduced("resp_1/s1", MS * 100), 0.0)
    answer.spoke("resp_1/s1", 0.0)
    assert answer.done


def test_cut_message_keeps_the_heard_words() -> None:
    answer = reply()
    answer.written("One two three is it. Next one ", 0.0)
    words = (SpokenWord("One ", 0.0), SpokenWord("two ", 100.0), SpokenWord("three ", 200.0))
    answer.sounded(SpeechProduced("resp_1/s1", MS * 300, words), 0.0)
    out = answer.finish_message(cut=True, heard=("item_0", 160))
    assert isinstance(out[0], Emit)
    item = out[0].event.item  # type: ignore[attr-defined]
    assert (item.content[0].text, item.status) == ("One two ", "incomplete")


def test_speech_of_another_clause_is_not_taken() -> None:
    answer = reply()
    answer.written("The first sentence is here. ", 0.0)
    assert answer.sounded(SpeechProduced("resp_1/s9", MS), 0.0) == []
    assert answer.spoke("resp_1/s9", 0.0) == []
