"""The composed model keeps the rules of a realtime model (OpenAI Realtime sections 7, 10 and 12.2)."""

from __future__ import annotations

from typing import Any

import pytest

from relay import events as e
from relay import limits
from relay.commands import Command, Drop, Emit, FinishListening, Hear, Listen, Speak, Think
from relay.core.cascade import RETRIES, Cascade
from relay.nouns import PCM16K, Item, Part, ResponseOptions, Settings, SpokenWord, Tool, Transcription
from tests.fakes.stage import MS_16K

TEXT = Settings(modality="text", transcription=Transcription())


class Talk:
    """A cascade, and what it said and asked for."""

    def __init__(self, settings: Settings = TEXT) -> None:
        self.cascade = Cascade("sess_x", settings, PCM16K, PCM16K)
        self.now = 0.0
        self.said: list[e.Event] = []
        self.work: list[Command] = []

    def do(self, *events: e.Event) -> Talk:
        for event in events:
            self.take(self.cascade.handle(event, self.now))
        return self

    def wake(self, at: float) -> Talk:
        self.now = at
        self.take(self.cascade.wake(at))
        return self

    def take(self, commands: list[Command]) -> None:
        for command in commands:
            if isinstance(command, Emit):
                self.said.append(command.event)
            else:
                self.work.append(command)

    def last(self, kind: type) -> Any:
        return next(x for x in reversed([*self.work, *self.said]) if isinstance(x, kind))

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.said]

    def codes(self) -> list[str]:
        return [event.fault.code for event in self.said if isinstance(event, e.Failed)]


def message(text: str, item_id: str = "") -> e.ItemCreateRequested:
    return e.ItemCreateRequested(Item(item_id, "message", "user", content=(Part("input_text", text),)))


def spoken() -> tuple[Talk, str]:
    """A finished spoken answer of 1 s with ten words, and its item's id."""
    talk = Talk(Settings()).do(message("hi"), e.ResponseRequested())
    ref = talk.last(Think).ref
    talk.do(e.ReplyProduced(ref, "Ten words of an answer. "), e.ReplyFinished(ref))
    words = tuple(SpokenWord(f"{n} ", n * 100.0) for n in range(10))
    talk.do(e.SpeechProduced(talk.last(Speak).ref, MS_16K * 1000, words), e.SpeechFinished(talk.last(Speak).ref))
    return talk, talk.last(e.OutputItemFinished).item.id


def test_text_in_text_out() -> None:
    talk = Talk().do(message("hi"), e.ResponseRequested())
    assert [item.content[0].text for item in talk.last(Think).history] == ["hi"]
    ref = talk.last(Think).ref
    talk.do(e.ReplyProduced(ref, "Hel"), e.ReplyProduced(ref, "lo."), e.ReplyFinished(ref, 7, 3))
    assert talk.kinds() == [
        "ItemAdded", "ItemFinished", "ResponseStarted", "OutputItemStarted", "TextProduced", "TextProduced",
        "OutputItemFinished", "ResponseFinished",
    ]  # fmt: skip
    done = talk.last(e.ResponseFinished)
    assert (done.status, done.usage.input_text, done.usage.output_text) == ("completed", 7, 3)
    assert done.output[0].content[0].text == "Hello."
    assert not any(isinstance(work, Speak) for work in talk.work)


def test_turn_is_transcribed_while_it_is_spoken() -> None:
    talk = Talk().do(e.TurnOpened("item_u"), e.AudioAppended(MS_16K * 200))
    ref = talk.last(Listen).ref
    talk.do(e.TranscriptHeard(ref, "what", False), e.TranscriptHeard(ref, "what is the", False))
    interim = [x for x in talk.said if isinstance(x, e.InputTranscribed)]
    assert [(x.item_id, x.text, x.delta) for x in interim] == [
        ("item_u", "what", ""),
        ("item_u", "what is the", "what"),
    ]


def test_words_that_are_revised_are_not_sent_as_deltas() -> None:
    talk = Talk().do(e.AudioAppended(MS_16K * 200))
    ref = talk.last(Listen).ref
    for text in ("what if", "what is", "what is the", "what is the weather"):
        talk.do(e.TranscriptHeard(ref, text, False))
    talk.do(e.CommitRequested(), e.TranscriptHeard(ref, "what is the weather", True))
    deltas = [x.delta for x in talk.said if isinstance(x, e.InputTranscribed)]
    assert "".join(deltas) == "what is the"
    assert talk.last(e.InputTranscribed).final


def test_no_transcription_wanted_none_is_sent_but_the_model_reads_it() -> None:
    talk = Talk(Settings(modality="text")).do(e.AudioAppended(MS_16K * 200), e.CommitRequested())
    talk.do(e.TranscriptHeard(talk.last(Listen).ref, "hello", True), e.ResponseRequested())
    assert "InputTranscribed" not in talk.kinds()
    assert talk.last(Think).history[0].content[0].text == "hello"


def test_answer_waits_for_the_transcript() -> None:
    talk = Talk().do(e.AudioAppended(MS_16K * 200), e.CommitRequested(), e.ResponseRequested())
    assert not any(isinstance(work, Think) for work in talk.work)
    talk.do(e.TranscriptHeard(talk.last(FinishListening).ref, "now", True))
    assert talk.last(Think)


def test_item_positions_and_their_errors() -> None:
    talk = Talk().do(message("b", "b"), message("d", "d"))
    talk.do(e.ItemCreateRequested(Item("a", "message", "user"), "root"))
    talk.do(e.ItemCreateRequested(Item("c", "message", "user"), "b"))
    talk.do(e.ItemCreateRequested(Item("x", "message", "user"), "nobody"), message("again", "a"))
    assert [item.id for item in talk.cascade.conversation.items()] == ["a", "b", "c", "d"]
    assert talk.codes() == ["item_not_found", "item_already_exists"]
    placed = [(x.item.id, x.previous_item_id) for x in talk.said if isinstance(x, e.ItemAdded)]
    assert placed == [("b", None), ("d", "b"), ("a", None), ("c", "b")]


def test_delete_and_retrieve() -> None:
    talk = Talk().do(e.AudioAppended(MS_16K * 200), e.CommitRequested())
    item_id = talk.last(e.AudioCommitted).item_id
    talk.do(e.ItemRetrieveRequested(item_id))
    assert talk.last(e.ItemRetrieved).item.content[0].audio == MS_16K * 200
    assert talk.last(e.ItemAdded).item.content[0].audio is None, "events carry no audio"
    talk.do(e.ItemDeleteRequested(item_id), e.ItemDeleteRequested(item_id), e.ItemRetrieveRequested(item_id))
    assert talk.codes() == ["item_delete_invalid_item_id", "item_retrieve_invalid_item_id"]


@pytest.mark.parametrize(
    ("which", "end_ms", "code"),
    [
        ("unknown", 10, "item_truncate_invalid_item_id"),
        ("text", 10, "unsupported_content_type"),
        ("spoken", 1100, "invalid_value"),
    ],
)
def test_truncation_that_cannot_be_is_an_error_unless_lenient(which: str, end_ms: int, code: str) -> None:
    talk, item_id = spoken()
    talk.do(message("typed", "text"))
    target = item_id if which == "spoken" else which
    talk.do(e.ItemTruncateRequested(target, end_ms, strict=False))
    assert talk.codes() == []
    talk.do(e.ItemTruncateRequested(target, end_ms))
    assert talk.codes() == [code]


def test_truncation_removes_what_was_not_heard_and_can_be_refined() -> None:
    talk, item_id = spoken()
    for end_ms, words in ((450, 5), (250, 3), (900, 9)):
        talk.do(e.ItemTruncateRequested(item_id, end_ms))
        entry = talk.cascade.conversation.get(item_id)
        assert entry is not None
        assert entry.item.content[0].text == "".join(f"{n} " for n in range(words))
    assert talk.last(e.ItemTruncated).audio_end_ms == 900


def test_options_of_one_answer_override_the_session() -> None:
    talk = Talk(Settings(instructions="long", tools=(Tool("a"),)))
    options = ResponseOptions(modality="text", instructions="short", tools=(), tool_choice="none", metadata={"k": "v"})
    talk.do(message("hi"), e.ResponseRequested(options))
    asked = talk.last(Think)
    assert (asked.instructions, asked.tools, asked.tool_choice) == ("short", (), "none")
    talk.do(e.ReplyProduced(asked.ref, "ok"), e.ReplyFinished(asked.ref))
    assert talk.last(e.ResponseFinished).options.metadata == {"k": "v"}


def test_input_replaces_the_conversation_and_may_refer_to_it() -> None:
    talk = Talk().do(message("one", "one"), message("two", "two"))
    given = (Item("two", "item_reference"), Item("x", "message", "user", content=(Part("input_text", "three"),)))
    talk.do(e.ResponseRequested(ResponseOptions(out_of_band=True, input=given)))
    assert [item.content[0].text for item in talk.last(Think).history] == ["two", "three"]


def test_cancelled_answer_drops_its_work_and_ends_once() -> None:
    talk = Talk(Settings()).do(message("hi"), e.ResponseRequested())
    ref = talk.last(Think).ref
    talk.do(e.ReplyProduced(ref, "A first sentence. And "))
    talk.do(e.CancelRequested())
    assert {x.ref for x in talk.work if isinstance(x, Drop)} == {ref, f"{ref}/s1"}
    talk.do(e.ReplyProduced(ref, "late"), e.SpeechProduced(f"{ref}/s1", MS_16K), e.ReplyFinished(ref))
    assert talk.kinds().count("ResponseFinished") == 1
    assert talk.said[-1] == talk.last(e.ResponseFinished)


def test_failed_chat_model_fails_the_answer_and_the_next_one_works() -> None:
    talk = Talk().do(message("hi"), e.ResponseRequested())
    talk.do(e.EngineFailed(talk.last(Think).ref, "think", "gone"))
    assert talk.last(e.ResponseFinished).status == "failed"
    talk.do(e.ResponseRequested())
    assert talk.kinds().count("ResponseStarted") == 2


def test_failed_transcriber_in_mid_turn_gets_the_audio_again() -> None:
    talk = Talk().do(e.AudioAppended(MS_16K * 200))
    talk.do(e.EngineFailed(talk.last(Listen).ref, "listen", "died"))
    assert talk.last(Hear).audio == MS_16K * 200
    talk.do(e.CommitRequested()).do(e.TranscriptHeard(talk.last(FinishListening).ref, "hello", True))
    assert talk.last(e.InputTranscribed).text == "hello"


def test_transcriber_that_always_fails_is_not_tried_without_end() -> None:
    talk = Talk().do(e.AudioAppended(MS_16K * 200))
    for _ in range(9):
        talk.do(e.EngineFailed(talk.last(Listen).ref, "listen", "died"))
    assert sum(isinstance(work, Listen) for work in talk.work) == 1 + RETRIES
    talk.do(e.AudioAppended(MS_16K * 200), e.CommitRequested(), e.ResponseRequested())
    assert talk.last(e.TranscriptionFailed)
    assert talk.last(Think)


def test_failed_transcriber_after_the_turn_is_reported_and_the_answer_goes_on() -> None:
    talk = Talk().do(e.AudioAppended(MS_16K * 200), e.CommitRequested(), e.ResponseRequested())
    talk.do(e.EngineFailed(talk.last(FinishListening).ref, "listen", "died"))
    assert talk.last(e.TranscriptionFailed)
    assert talk.last(Think)


def test_transcript_that_does_not_come_is_given_up_at_its_deadline() -> None:
    talk = Talk().do(e.AudioAppended(MS_16K * 200), e.CommitRequested(), e.ResponseRequested())
    assert talk.cascade.deadline() == limits.TRANSCRIPT_DEADLINE_S
    talk.wake(limits.TRANSCRIPT_DEADLINE_S)
    assert talk.last(e.TranscriptionFailed)
    assert talk.last(Think)
    assert talk.cascade.deadline() is None


def test_push_to_talk_without_end_is_bounded() -> None:
    talk = Talk()
    for _ in range(int(limits.MAX_UNCOMMITTED_S) // 10 + 1):
        talk.do(e.AudioAppended(MS_16K * 10_000))
    assert talk.codes() == ["input_audio_buffer_full"]


def test_ids_of_two_sessions_differ() -> None:
    talks = [Cascade(f"sess_{n}", TEXT, PCM16K, PCM16K) for n in "ab"]
    ids = [str(talk.handle(message("x"), 0.0)) for talk in talks]
    assert ids[0] != ids[1]
