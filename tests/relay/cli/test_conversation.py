"""What the client shows and sends, frame by frame."""

import base64

import pytest

from relay.cli.conversation import Conversation, Line, opening, parse
from relay.cli.sound import Playback

SESSION = {
    "type": "session.updated",
    "session": {"audio": {"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 500}}}},
}


def audio(ms, item="A", response="R"):
    delta = base64.b64encode(bytes(48 * ms)).decode()
    return {"type": "response.output_audio.delta", "response_id": response, "item_id": item, "delta": delta}


def words(delta, item="A"):
    return {"type": "response.output_audio_transcript.delta", "response_id": "R", "item_id": item, "delta": delta}


def created(response="R"):
    return {"type": "response.created", "response": {"id": response}}


def done(status="completed", response="R", output=(), **details):
    return {
        "type": "response.done",
        "response": {"id": response, "status": status, "output": list(output), "status_details": details or None},
    }


STARTED = {"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": "U"}
STOPPED = {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 2000, "item_id": "U"}
COMMITTED = {"type": "input_audio_buffer.committed", "item_id": "U"}


class Talk:
    """A conversation whose audio was sent from second 100 on."""

    def __init__(self):
        self.playback = Playback()
        self.conversation = Conversation(self.playback, lambda ms: 100 + ms / 1000)
        self.sent = []
        self.take(SESSION)

    def take(self, *events, now=102.0):
        for event in events:
            self.sent += self.conversation.take(event, now)
        return self

    @property
    def lines(self):
        return [(line.kind, line.text) for line in self.conversation.lines]


def test_transcript_of_the_caller_grows_and_ends_as_a_line():
    kind = "conversation.item.input_audio_transcription"
    talk = Talk().take({"type": f"{kind}.delta", "delta": "what is"}, {"type": f"{kind}.delta", "delta": " the"})
    assert talk.conversation.hearing == "what is the"
    talk.take({"type": f"{kind}.completed", "transcript": "what is the weather"})
    assert talk.conversation.hearing == ""
    assert talk.lines == [("you", "what is the weather")]


def test_failed_transcript_is_shown_as_such():
    kind = "conversation.item.input_audio_transcription.failed"
    assert Talk().take({"type": kind, "error": {"message": "unclear"}}).lines == [("note", "not understood: unclear")]


def test_answer_grows_and_ends_as_a_line():
    talk = Talk().take(created(), audio(20), words("It is "), words("sunny."))
    assert talk.conversation.saying == "It is sunny."
    talk.take({"type": "response.output_audio_transcript.done", "item_id": "A", "transcript": "It is sunny."}, done())
    assert talk.conversation.saying == ""
    assert talk.lines == [("agent", "It is sunny.")]
    assert talk.conversation.answers == 1


def test_first_sound_is_measured_from_the_last_word_and_from_its_detection():
    talk = Talk().take(STARTED).take(STOPPED, COMMITTED, now=102.1).take(created(), audio(20), audio(20), now=102.4)
    (line,) = talk.conversation.lines
    assert line == Line("note", "answered 0.90 s after the last word", "0.30 s after the turn was found over")


def test_interruption_flushes_and_truncates_at_what_was_played():
    talk = Talk().take(created(), words("It is sunny."), audio(100))
    talk.playback.pull(48 * 60)
    talk.take(STARTED)
    assert talk.sent == [
        {"type": "conversation.item.truncate", "item_id": "A", "content_index": 0, "audio_end_ms": 60}
    ]
    assert talk.playback.queued_ms == 0
    assert talk.conversation.lines[-1] == Line("agent", "It is sunny.", "cut after 0.1 s")


def test_late_audio_and_words_of_an_interrupted_item_are_dropped():
    talk = Talk().take(created(), audio(100), STARTED, audio(100), words("late"), done("cancelled"))
    assert talk.playback.queued_ms == 0
    assert talk.lines == []


def test_late_audio_is_dropped_even_when_everything_received_had_been_played():
    talk = Talk().take(created(), audio(20))
    talk.playback.pull(48 * 20)
    talk.take(STARTED, audio(20))
    assert talk.sent == []
    assert talk.playback.queued_ms == 0


def test_finished_answer_that_is_still_being_heard_is_cut_as_well():
    talk = Talk().take(created(), audio(100), done())
    talk.playback.pull(48 * 20)
    talk.take(STARTED)
    assert talk.sent[0]["audio_end_ms"] == 20


def test_answer_after_an_interruption_is_played():
    talk = Talk().take(created(), audio(100), STARTED, done("cancelled"), created("R2"), audio(40, "A2", "R2"))
    assert talk.playback.queued_ms == 40


def test_session_without_interruption_goes_on_playing():
    talk = Talk().take(
        {"type": "session.updated", "session": {"audio": {"input": {"turn_detection": {"interrupt_response": False}}}}},
        created(), audio(100), STARTED,
    )
    assert talk.sent == []
    assert talk.playback.queued_ms == 100


@pytest.mark.parametrize(
    ("events", "busy"),
    [
        ([], False),
        ([STARTED], True),
        ([STARTED, STOPPED], False),
        ([STARTED, STOPPED, COMMITTED], True),
        ([STARTED, STOPPED, COMMITTED, created()], True),
        ([COMMITTED, created(), words("Hi"), audio(20)], True),
        ([COMMITTED, created(), audio(20), done()], True),
        ([COMMITTED, created(), done("cancelled")], False),
        ([COMMITTED, created(), done(output=[{"type": "function_call"}])], True),
        ([COMMITTED, created(), done()], True),
        ([COMMITTED, created(), done(), created("R2"), done("failed", "R2")], False),
    ],
)
def test_conversation_is_busy_while_somebody_speaks_or_an_answer_is_owed(events, busy):
    assert Talk().take(*events).conversation.busy is busy


def test_conversation_is_over_when_the_answer_was_heard():
    talk = Talk().take(COMMITTED, created(), audio(20), done())
    assert talk.conversation.busy
    talk.playback.pull(48 * 20)
    assert not talk.conversation.busy


def test_turn_is_owed_nothing_when_the_session_does_not_answer_by_itself():
    talk = Talk().take(
        {"type": "session.updated", "session": {"audio": {"input": {"turn_detection": {"create_response": False}}}}},
        COMMITTED,
    )
    assert not talk.conversation.busy


def test_tool_call_and_its_result_are_shown():
    talk = Talk().take(
        {"type": "response.function_call_arguments.done", "name": "get_weather", "arguments": '{"city":"Paris"}'},
        {"type": "conversation.item.done", "item": {"type": "function_call_output", "output": "sunny"}},
    )
    assert talk.lines == [("tool", 'get_weather({"city":"Paris"})'), ("tool", "→ sunny")]


def test_written_answer_counts_as_an_answer():
    delta = {"type": "response.output_text.delta", "response_id": "R", "item_id": "A", "delta": "Hi."}
    talk = Talk().take(created(), delta, done())
    assert talk.conversation.answers == 1
    assert talk.lines == [("agent", "Hi.")]


def test_failed_answer_is_told():
    talk = Talk().take(created(), done("failed", error={"message": "overloaded"}))
    assert talk.lines == [("error", "the answer failed: overloaded")]
    assert talk.conversation.failed


def test_incomplete_answer_is_told():
    talk = Talk().take(created(), done("incomplete", reason="max_output_tokens"))
    assert talk.lines == [("note", "the answer is incomplete: max_output_tokens")]


def test_error_is_told():
    talk = Talk().take({"type": "error", "error": {"type": "x", "code": "y", "message": "no such item"}})
    assert talk.lines == [("error", "no such item")]


@pytest.mark.parametrize(
    "event",
    [
        {}, {"type": None}, {"type": 7}, {"type": []}, {"type": "future.event"}, {"type": "response.done"},
        {"type": "session.updated", "session": []}, {"type": "error", "error": "x"}, {"type": "response.created"},
        {"type": "response.output_audio.delta"}, {"type": "response.output_audio.delta", "delta": 7},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": "soon"},
        {"type": "session.created", "session": {"audio": {"input": {"turn_detection": {"silence_duration_ms": []}}}}},
        {"type": "response.done", "response": {"output": None}}, {"type": "conversation.item.done", "item": 1},
    ],
    ids=str,
)
def test_frame_of_another_shape_does_not_raise(event):
    Talk().take(event)


@pytest.mark.parametrize(
    ("text", "frame"), [('{"type":"x"}', {"type": "x"}), ("{", {}), ("[1]", {}), ("[" * 99_999, {})], ids=range(4)
)
def test_text_that_is_no_object_is_an_empty_frame(text, frame):
    assert parse(text) == frame


def test_opening_asks_for_pcm_and_transcripts_and_types_the_words():
    update, item, create = opening("hello")
    assert update["session"]["audio"]["input"] == {"format": {"type": "audio/pcm", "rate": 24000}, "transcription": {}}
    assert item["item"]["content"] == [{"type": "input_text", "text": "hello"}]
    assert create == {"type": "response.create"}
    assert opening(None) == [update]
