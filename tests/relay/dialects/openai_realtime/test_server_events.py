"""Each scene of section 10 as it must appear on the wire, judged by the official SDK."""

import asyncio
import base64

import orjson
import pytest
from agents.realtime.openai_realtime import OpenAIRealtimeWebSocketModel

from relay import events, limits
from relay.dialects.openai_realtime import OpenAICaller
from relay.nouns import Fault, Item, Part, ResponseOptions, Settings, Usage

RESPONSE, MESSAGE, CALL = "resp_R1", "item_A1", "item_F1"
SAMPLES = b"\xfe\xfe\x00\x01"


def message(status="completed", *parts):
    return Item(MESSAGE, "message", "assistant", status, parts)


def call(status="completed", arguments="{}"):
    return Item(CALL, "function_call", status=status, call_id="call_1", name="lookup", arguments=arguments)


STARTED = events.ResponseStarted(RESPONSE, conversation_id="conv_1")
MESSAGE_STARTED = events.OutputItemStarted(RESPONSE, message("in_progress"))
CALL_STARTED = events.OutputItemStarted(RESPONSE, call("in_progress", ""), 1)
AUDIO = events.AudioProduced(RESPONSE, MESSAGE, SAMPLES)
SPOKEN_TURN = [
    events.SpeechStarted("item_U1", 820),
    events.SpeechStopped("item_U1", 1900),
    events.AudioCommitted("item_U1", None),
    events.ItemAdded(Item("item_U1", "message", "user", content=(Part("input_audio", None, SAMPLES),))),
    events.ItemFinished(Item("item_U1", "message", "user", content=(Part("input_audio", None, SAMPLES),))),
    STARTED,
    MESSAGE_STARTED,
    events.TranscriptProduced(RESPONSE, MESSAGE, "Good "),
    AUDIO,
    events.TranscriptProduced(RESPONSE, MESSAGE, "day."),
    events.OutputItemFinished(RESPONSE, message("completed", Part("output_audio", "Good day."))),
    events.ResponseFinished(RESPONSE, "completed", output=(message(),), usage=Usage(1, 2, 0, 0, 3, 4)),
    events.InputTranscribed("item_U1", "hel", False, "hel"),
    events.InputTranscribed("item_U1", "hello", True, usage=Usage(seconds=1.5)),
]


def say(caller, *happenings):
    return [frame for event in happenings for frame in caller.encode(event)]


@pytest.fixture
def said(read):
    """What a fresh caller reads of some happenings."""
    return lambda *happenings: read(say(OpenAICaller("sess_1"), *happenings))


def types(messages):
    return [message["type"] for message in messages]


def test_a_spoken_turn_has_the_whole_ceremony_in_order(said):
    assert types(said(*SPOKEN_TURN)) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_audio_transcript.delta",
        "response.output_audio.delta",
        "response.output_audio_transcript.delta",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "conversation.item.input_audio_transcription.delta",
        "conversation.item.input_audio_transcription.completed",
    ]


def test_a_written_answer_has_the_whole_ceremony_in_order(said):
    got = said(
        STARTED,
        MESSAGE_STARTED,
        events.TextProduced(RESPONSE, MESSAGE, "Good "),
        events.TextProduced(RESPONSE, MESSAGE, "day."),
        events.OutputItemFinished(RESPONSE, message("completed", Part("output_text", "Good day."))),
        events.ResponseFinished(RESPONSE, "completed"),
    )
    assert types(got) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    assert got[6]["text"] == "Good day."
    assert got[7]["part"] == {"type": "text", "text": "Good day."}


def test_a_tool_call_has_the_whole_ceremony_in_order(said):
    got = said(
        STARTED,
        CALL_STARTED,
        events.ToolArgumentsProduced(RESPONSE, CALL, "call_1", '{"id"', 1),
        events.ToolArgumentsProduced(RESPONSE, CALL, "call_1", ":7}", 1),
        events.ToolCalled(RESPONSE, CALL, "call_1", "lookup", '{"id":7}', 1),
        events.OutputItemFinished(RESPONSE, call(arguments='{"id":7}'), 1),
        events.ResponseFinished(RESPONSE, "completed", output=(call(arguments='{"id":7}'),)),
    )
    assert types(got) == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    done = got[5]
    del done["event_id"]
    assert done == {
        "type": "response.function_call_arguments.done",
        "response_id": RESPONSE,
        "item_id": CALL,
        "output_index": 1,
        "call_id": "call_1",
        "name": "lookup",
        "arguments": '{"id":7}',
    }


def test_arguments_that_were_not_streamed_come_as_one_delta(said):
    got = said(STARTED, CALL_STARTED, events.ToolCalled(RESPONSE, CALL, "call_1", "lookup", "{}", 1))
    assert types(got)[-2:] == ["response.function_call_arguments.delta", "response.function_call_arguments.done"]
    assert got[-2]["delta"] == got[-1]["arguments"] == "{}"


def test_a_call_that_was_cut_has_its_done_with_what_was_streamed(said):
    got = said(
        STARTED,
        CALL_STARTED,
        events.ToolArgumentsProduced(RESPONSE, CALL, "call_1", '{"id', 1),
        events.OutputItemFinished(RESPONSE, call("incomplete", ""), 1),
    )
    assert types(got)[-3:] == [
        "response.function_call_arguments.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert got[-3]["arguments"] == '{"id'


def test_deltas_concatenate_to_the_done_transcript(said):
    got = said(*SPOKEN_TURN)
    deltas = [m["delta"] for m in got if m["type"] == "response.output_audio_transcript.delta"]
    done = next(m for m in got if m["type"] == "response.output_audio_transcript.done")
    part = next(m["part"] for m in got if m["type"] == "response.content_part.done")
    assert "".join(deltas) == done["transcript"] == part["transcript"] == "Good day."


def test_parts_and_items_spell_their_types_differently(said):
    got = said(*SPOKEN_TURN)
    assert {m["part"]["type"] for m in got if "content_part" in m["type"]} == {"audio"}
    item = next(m["item"] for m in got if m["type"] == "response.output_item.done")
    assert item["content"] == [{"type": "output_audio", "transcript": "Good day."}]


def test_an_interrupted_answer_is_closed_with_what_was_said(said):
    got = said(
        STARTED,
        MESSAGE_STARTED,
        AUDIO,
        events.TranscriptProduced(RESPONSE, MESSAGE, "Good d"),
        events.SpeechStarted("item_U2", 3000),
        events.OutputItemFinished(RESPONSE, message("incomplete", Part("output_audio", "Good"))),
        events.ResponseFinished(RESPONSE, "cancelled", "turn_detected"),
        events.ItemTruncated(MESSAGE, 640),
    )
    assert types(got)[6:] == [
        "input_audio_buffer.speech_started",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
        "conversation.item.truncated",
    ]
    assert got[8]["transcript"] == "Good d"
    assert got[-2]["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}


def test_an_answer_cut_before_its_first_word_opens_and_closes_no_part(said):
    got = said(STARTED, MESSAGE_STARTED, events.OutputItemFinished(RESPONSE, message("incomplete")))
    assert not [kind for kind in types(got) if "content_part" in kind or "audio" in kind]


def test_an_out_of_band_answer_does_not_enter_the_conversation(said):
    got = said(
        events.ResponseStarted(RESPONSE, ResponseOptions(metadata={"topic": "x"}, out_of_band=True)),
        MESSAGE_STARTED,
        events.TextProduced(RESPONSE, MESSAGE, "x"),
        events.OutputItemFinished(RESPONSE, message()),
        events.ResponseFinished(RESPONSE, "completed", options=ResponseOptions(metadata={"topic": "x"})),
    )
    assert not [kind for kind in types(got) if kind.startswith("conversation.")]
    assert got[0]["response"]["conversation_id"] is None
    assert got[0]["response"]["metadata"] == got[-1]["response"]["metadata"] == {"topic": "x"}


def test_an_answers_item_is_announced_once_however_often_it_is_reported(said):
    got = said(
        STARTED,
        MESSAGE_STARTED,
        events.ItemAdded(message("in_progress")),
        events.ItemFinished(message()),
        events.OutputItemFinished(RESPONSE, message()),
    )
    assert types(got).count("conversation.item.added") == types(got).count("conversation.item.done") == 1


def test_an_answers_item_that_the_conversation_had_first_is_not_added_again(said):
    got = said(STARTED, events.ItemAdded(message("in_progress")), MESSAGE_STARTED)
    assert types(got) == ["response.created", "conversation.item.added", "response.output_item.added"]


def test_an_answers_item_follows_the_last_of_the_conversation(said):
    user = Item("item_U1", "message", "user")
    root = Item("item_U0", "message", "user")
    added = [
        said(STARTED, MESSAGE_STARTED)[-1],
        said(events.ItemAdded(user), STARTED, MESSAGE_STARTED)[-1],
        said(events.ItemAdded(user), events.ItemAdded(root), STARTED, MESSAGE_STARTED)[-1],
    ]
    assert [message["previous_item_id"] for message in added] == [None, "item_U1", "item_U1"]


def test_an_answers_item_claims_no_place_when_the_last_item_was_deleted(said):
    user = Item("item_U1", "message", "user")
    got = said(events.ItemAdded(user), events.ItemDeleted("item_U1"), STARTED, MESSAGE_STARTED)
    assert "previous_item_id" not in got[-1]


def test_event_ids_are_unique(said):
    ids = [message["event_id"] for message in said(*SPOKEN_TURN)]
    assert len(set(ids)) == len(ids)


def test_audio_goes_out_as_it_came_or_as_standard_base64(said):
    got = said(STARTED, MESSAGE_STARTED, AUDIO, events.AudioProduced(RESPONSE, MESSAGE, "//8AAA=="))
    assert [m["delta"] for m in got[-2:]] == [base64.b64encode(SAMPLES).decode(), "//8AAA=="]
    del got[-1]["event_id"]
    assert got[-1] == {
        "type": "response.output_audio.delta",
        "response_id": RESPONSE,
        "item_id": MESSAGE,
        "output_index": 0,
        "content_index": 0,
        "delta": "//8AAA==",
    }


def test_ids_and_audio_of_a_hostile_model_stay_in_their_strings(said):
    evil = '","type":"error","x":"\\'
    got = said(events.AudioProduced(evil, evil, evil))
    assert (got[0]["type"], got[0]["item_id"], got[0]["delta"]) == ("response.output_audio.delta", evil, evil)


def test_shown_items_carry_no_samples_but_retrieved_ones_do(said):
    item = Item("item_U1", "message", "user", content=(Part("input_audio", "hi", SAMPLES),))
    added, done, retrieved = said(events.ItemAdded(item), events.ItemFinished(item), events.ItemRetrieved(item))
    assert "audio" not in added["item"]["content"][0]
    assert "audio" not in done["item"]["content"][0]
    assert retrieved["item"]["content"][0]["audio"] == base64.b64encode(SAMPLES).decode()


def test_an_opened_session_is_shown_and_settings_are_shown_whole(said):
    opened, applied = said(
        events.SessionOpened("sess_9", Settings(model="m"), 1756324625),
        events.SettingsApplied(Settings(model="m", instructions="x")),
    )
    assert opened["type"] == "session.created"
    assert (opened["session"]["id"], opened["session"]["expires_at"]) == ("sess_9", 1756324625)
    assert applied["type"] == "session.updated"
    assert applied["session"] == {**opened["session"], "instructions": "x"}


def test_a_response_shows_the_settings_in_force(said):
    got = said(events.SettingsApplied(Settings(voice="cedar", modality="text")), STARTED)
    assert got[-1]["response"]["audio"]["output"]["voice"] == "cedar"
    assert got[-1]["response"]["output_modalities"] == ["text"]


def test_a_transcription_has_usage_even_when_nobody_counted(said):
    (got,) = said(events.InputTranscribed("item_U1", "hi", True))
    assert got["usage"] == {"type": "duration", "seconds": 0.0}
    (got,) = said(events.InputTranscribed("item_U1", "hi", True, usage=Usage(1, 2, output_text=3)))
    assert got["usage"]["total_tokens"] == 6


def test_revised_words_wait_for_the_final_transcript(said):
    assert said(events.InputTranscribed("item_U1", "hallo", False, "")) == []


def test_a_failed_transcription_is_no_error_event(said):
    (got,) = said(events.TranscriptionFailed("item_U1", Fault("transcription_error", "audio_unintelligible", "?")))
    assert got["type"] == "conversation.item.input_audio_transcription.failed"
    assert got["error"] == {"type": "transcription_error", "code": "audio_unintelligible", "message": "?"}


@pytest.mark.parametrize("make", [events.Failed, events.Rejected])
def test_a_fault_is_an_error_event_with_the_callers_own_id(said, make):
    (got,) = said(make(Fault("invalid_request_error", "invalid_value", "No.", "session.x", "evt_1")))
    assert got["error"] == {
        "type": "invalid_request_error",
        "code": "invalid_value",
        "message": "No.",
        "param": "session.x",
        "event_id": "evt_1",
    }


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        (events.IdleTimedOut("item_U1", 0, 6000), "input_audio_buffer.timeout_triggered"),
        (events.AudioCleared(), "input_audio_buffer.cleared"),
        (events.ItemTruncated("item_A1", 640), "conversation.item.truncated"),
        (events.ItemDeleted("item_A1"), "conversation.item.deleted"),
    ],
)
def test_small_happenings_have_their_event(said, event, kind):
    assert types(said(event)) == [kind]


def test_a_warning_reaches_the_application_of_no_sdk_as_an_error():
    (frame,) = OpenAICaller("sess_1").encode(events.Warned("voice_unknown", "There is no such voice.", "voice"))
    heard = []

    class Listener:
        async def on_event(self, event):
            heard.append(event.type)

    model = OpenAIRealtimeWebSocketModel()
    model.add_listener(Listener())
    asyncio.run(model._handle_ws_event(orjson.loads(frame)))
    assert heard == ["raw_server_event"]
    assert orjson.loads(frame)["relay_warning"]["code"] == "voice_unknown"


def test_frames_of_the_same_dialect_pass_as_they_came():
    caller = OpenAICaller("sess_1", passthrough=True)
    raw = b'{"type":"response.output_audio.delta"}'
    assert caller.encode(events.AudioProduced(RESPONSE, MESSAGE, "AAAA", raw=raw)) == [raw]
    assert caller.encode(events.Unmapped("response.content_part.added", "model", raw)) == [raw]
    assert caller.encode(events.SpeechStarted("item_U1", 0, raw=raw)) == [raw]


def test_frames_pass_only_where_both_sides_agreed_to_it():
    caller = OpenAICaller("sess_1")
    raw = b'{"type":"x"}'
    assert caller.encode(events.Unmapped("x", "model", raw)) == []
    assert caller.encode(events.SpeechStarted("item_U1", 0, raw=raw)) != [raw]


@pytest.mark.parametrize("event", [events.AudioAppended("AAAA", raw=b"{}"), events.Unmapped("x", "caller", b"{}")])
def test_a_callers_own_frame_never_comes_back_to_it(event):
    assert OpenAICaller("sess_1", passthrough=True).encode(event) == []


def test_an_answer_that_passed_as_frames_can_be_cut_by_the_relay(read):
    caller = OpenAICaller("sess_1", passthrough=True)
    for event in (
        events.ResponseStarted(RESPONSE, conversation_id="conv_1", raw=b"{}"),
        events.OutputItemStarted(RESPONSE, message("in_progress"), raw=b"{}"),
        events.TranscriptProduced(RESPONSE, MESSAGE, "Good d", raw=b"{}"),
        events.AudioProduced(RESPONSE, MESSAGE, "AAAA", raw=b"{}"),
    ):
        assert caller.encode(event) == [b"{}"]
    got = read(say(caller, events.OutputItemFinished(RESPONSE, message("incomplete"))))
    assert types(got) == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
    ]
    assert got[1]["transcript"] == "Good d"


def test_audio_alone_that_passed_as_frames_still_has_a_part_to_close(read):
    caller = OpenAICaller("sess_1", passthrough=True)
    caller.encode(MESSAGE_STARTED)
    assert caller.encode(events.AudioProduced(RESPONSE, MESSAGE, "AAAA", raw=b"{}")) == [b"{}"]
    got = read(say(caller, events.OutputItemFinished(RESPONSE, message("incomplete"))))
    assert "response.content_part.done" in types(got)


def test_what_a_finished_response_left_behind_is_forgotten():
    caller = OpenAICaller("sess_1")
    say(caller, *SPOKEN_TURN)
    assert (caller._events._items, caller._events._audio_tails, caller._events._out_of_band) == ({}, {}, {})


def test_a_model_that_never_finishes_does_not_grow_us():
    caller = OpenAICaller("sess_1")
    for n in range(3 * limits.MAX_OPEN_ITEMS):
        caller.encode(events.ResponseStarted(f"resp_{n}"))
        caller.encode(events.OutputItemStarted(f"resp_{n}", Item(f"item_{n}", "message", "assistant")))
        caller.encode(events.TextProduced(f"resp_{n}", f"item_{n}", "x", 0, n))
        caller.encode(events.AudioProduced(f"resp_{n}", f"item_{n}", "AAAA", 0, n))
        caller.encode(events.AudioProduced("resp", "item_unknown", "AAAA", 0, n))
    for n in range(3 * limits.MAX_OPEN_ITEMS):
        caller.encode(events.AudioProduced("resp", f"item_{3 * limits.MAX_OPEN_ITEMS - 1}", "AAAA", 0, n))
    kept = caller._events
    assert len(kept._items) <= limits.MAX_OPEN_ITEMS
    assert len(kept._out_of_band) <= limits.MAX_OPEN_ITEMS
    assert max(len(item.parts) for item in kept._items.values()) <= limits.MAX_OPEN_ITEMS
    assert len(kept._audio_tails) <= 4 * limits.MAX_OPEN_ITEMS
