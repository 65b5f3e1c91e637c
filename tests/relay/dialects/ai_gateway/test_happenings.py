import base64
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay import limits
from relay.dialects.ai_gateway import GatewayCaller
from relay.errors import CloseReason
from relay.events import (
    Acknowledged,
    AudioCleared,
    AudioCommitted,
    AudioProduced,
    ClearRequested,
    Event,
    Failed,
    IdleTimedOut,
    InputTranscribed,
    ItemAdded,
    ItemDeleted,
    ItemFinished,
    ItemTruncated,
    OutputItemFinished,
    OutputItemStarted,
    Rejected,
    ResponseFinished,
    ResponseStarted,
    SessionOpened,
    SettingsApplied,
    SpeechStarted,
    SpeechStopped,
    TextProduced,
    ToolArgumentsProduced,
    ToolCalled,
    TranscriptionFailed,
    TranscriptProduced,
    Unmapped,
    Warned,
)
from relay.nouns import Fault, Item, Part, Settings, TurnDetection, Usage


def heard(*events: Event, caller: GatewayCaller | None = None) -> list[dict[str, Any]]:
    """What the caller reads, frame by frame."""
    caller = caller or GatewayCaller()
    return [orjson.loads(frame) for event in events for frame in caller.encode(event)]


def types(frames: list[dict[str, Any]]) -> list[str]:
    return [frame["type"] for frame in frames]


def message(text: str | None, item_id: str = "i1", status: Any = "completed", part: Any = "output_audio") -> Item:
    return Item(item_id, "message", role="assistant", status=status, content=(Part(part, text),))


def audio(frames: list[dict[str, Any]]) -> bytes:
    deltas = [frame["delta"] for frame in frames if frame["type"] == "audio-delta"]
    return b"".join(base64.b64decode(delta, validate=True) for delta in deltas)


STARTED = ResponseStarted("r1")
OPENED = SessionOpened("sess_1", Settings())


# --- the session


def test_a_session_opens_with_its_id_and_settings_are_confirmed() -> None:
    assert heard(OPENED, SettingsApplied(Settings())) == [
        {"type": "session-created", "sessionId": "sess_1"}, {"type": "session-updated"}]


def test_a_voice_turn_is_told_in_the_clients_words() -> None:
    assert heard(
        SpeechStarted("u1", 100), SpeechStopped("u1", 900), AudioCommitted("u1", "a0"), AudioCommitted("u2"),
        InputTranscribed("u1", "Hello.", final=True, usage=Usage(seconds=0.8)),
    ) == [
        {"type": "speech-started", "itemId": "u1"},
        {"type": "speech-stopped", "itemId": "u1"},
        {"type": "audio-committed", "itemId": "u1", "previousItemId": "a0"},
        {"type": "audio-committed", "itemId": "u2"},
        {"type": "input-transcription-completed", "itemId": "u1", "transcript": "Hello.", "usage": {"seconds": 0.8}},
    ]


def test_an_interim_transcript_is_the_same_frame_with_the_text_so_far() -> None:
    frames = heard(InputTranscribed("u1", "", final=False), InputTranscribed("u1", "Hel", final=False, delta="Hel"),
                   InputTranscribed("u1", "Hello.", final=True))
    assert [frame["transcript"] for frame in frames] == ["Hel", "Hello."]


def test_an_item_is_shown_in_openais_shape_and_without_audio() -> None:
    item = Item("u1", "message", role="user", content=(Part("input_audio", "Hi", audio=b"\0\0"), Part("input_audio")))
    [frame] = heard(ItemAdded(item))
    assert frame == {
        "type": "conversation-item-added", "itemId": "u1",
        "item": {"id": "u1", "type": "message", "status": "completed", "role": "user",
                 "content": [{"type": "input_audio", "transcript": "Hi"}, {"type": "input_audio"}]}}


def test_a_tool_output_is_shown_with_its_call() -> None:
    [frame] = heard(ItemAdded(Item("o1", "function_call_output", call_id="c1", output='"ok"')))
    assert frame["item"] == {"id": "o1", "type": "function_call_output", "status": "completed", "call_id": "c1",
                             "output": '"ok"'}


# --- answers


def test_a_spoken_answer_is_told_from_start_to_end() -> None:
    usage = Usage(input_text=3, input_audio=4, cached_text=1, cached_audio=2, output_text=5, output_audio=6)
    frames = heard(
        STARTED, OutputItemStarted("r1", message(None, status="in_progress")), TranscriptProduced("r1", "i1", "Sure, "),
        AudioProduced("r1", "i1", "AAAA" * 2), TranscriptProduced("r1", "i1", "once"),
        OutputItemFinished("r1", message("Sure, once")), ResponseFinished("r1", "completed", usage=usage))
    ids = {"responseId": "r1", "itemId": "i1"}
    assert frames == [
        {"type": "response-created", "responseId": "r1"},
        {"type": "output-item-added", **ids},
        {"type": "content-part-added", **ids},
        {"type": "audio-transcript-delta", **ids, "delta": "Sure, "},
        {"type": "audio-delta", **ids, "delta": "AAAA" * 2},
        {"type": "audio-transcript-delta", **ids, "delta": "once"},
        {"type": "audio-done", **ids},
        {"type": "audio-transcript-done", **ids, "transcript": "Sure, once"},
        {"type": "content-part-done", **ids},
        {"type": "output-item-done", **ids},
        {"type": "response-done", "responseId": "r1", "status": "completed", "usage": {
            "inputTokens": 7, "outputTokens": 11, "cachedInputTokens": 3, "inputTextTokens": 3, "inputAudioTokens": 4,
            "outputTextTokens": 5, "outputAudioTokens": 6, "cachedInputTextTokens": 1, "cachedInputAudioTokens": 2}},
    ]


def test_a_written_answer_uses_the_words_for_text() -> None:
    frames = heard(STARTED, TextProduced("r1", "i1", "Yes"), TextProduced("r1", "i1", ""),
                   OutputItemFinished("r1", message("Yes", part="output_text")))
    assert types(frames)[2:] == ["text-delta", "text-done", "content-part-done", "output-item-done"]
    assert frames[3]["text"] == "Yes"


@pytest.mark.parametrize(("part", "kind"), [("output_audio", "audio-transcript"), ("output_text", "text")])
def test_text_that_comes_whole_still_gets_its_delta(part: str, kind: str) -> None:
    frames = heard(STARTED, OutputItemFinished("r1", message("All.", part=part)))
    assert types(frames)[2:] == [f"{kind}-delta", f"{kind}-done", "content-part-done", "output-item-done"]
    assert frames[2]["delta"] == "All."


def test_speech_without_words_gets_no_transcript_done() -> None:
    frames = heard(STARTED, AudioProduced("r1", "i1", b"\0\0"), OutputItemFinished("r1", message(None)))
    assert types(frames)[2:] == ["audio-delta", "audio-done", "content-part-done", "output-item-done"]


def test_an_item_left_open_is_closed_with_its_response() -> None:
    frames = heard(STARTED, TranscriptProduced("r1", "i1", "So"), ResponseFinished("r1", "cancelled", "turn_detected"))
    assert types(frames)[3:] == ["audio-transcript-done", "content-part-done", "response-done"]
    assert "transcript" not in frames[3]
    assert frames[-1] == {"type": "response-done", "responseId": "r1", "status": "cancelled"}


def test_a_failed_answer_is_an_error_before_it_is_done() -> None:
    fault = Fault("server_error", "model_lost", "The model went away.")
    frames = heard(STARTED, ResponseFinished("r1", "failed", fault=fault))
    assert types(frames) == ["response-created", "error", "response-done"]
    assert frames[1]["message"] == "The model went away."
    assert heard(STARTED, ResponseFinished("r1", "failed"))[1]["message"]


# --- interruptions


def test_after_speech_started_nothing_more_of_the_answer_is_played_or_written() -> None:
    frames = heard(
        STARTED, TranscriptProduced("r1", "i1", "Sure, once upon"), AudioProduced("r1", "i1", "AAAA" * 2),
        SpeechStarted("u2", 0), AudioProduced("r1", "i1", "AAAA" * 2), TranscriptProduced("r1", "i1", " a time"),
        OutputItemFinished("r1", message("Sure, once", status="incomplete")), ResponseFinished("r1", "cancelled"))
    after = types(frames)[types(frames).index("speech-started") + 1 :]
    assert after == ["audio-done", "audio-transcript-done", "content-part-done", "output-item-done", "response-done"]
    assert [frame for frame in frames if "transcript" in frame][0]["transcript"] == "Sure, once"


def test_an_answer_interrupted_before_its_first_word_writes_none() -> None:
    frames = heard(STARTED, SpeechStarted("u2", 0), OutputItemFinished("r1", message("Sure", status="incomplete")))
    assert types(frames) == ["response-created", "speech-started", "output-item-done"]


def test_the_next_answer_is_heard_again() -> None:
    frames = heard(STARTED, SpeechStarted("u2", 0), ResponseFinished("r1", "cancelled"), ResponseStarted("r2"),
                   AudioProduced("r2", "i2", b"\0\0"), AudioProduced("r1", "i1", b"\0\0"))
    assert [frame["responseId"] for frame in frames if frame["type"] == "audio-delta"] == ["r2"]


def test_speech_is_told_also_when_nothing_is_being_answered() -> None:
    assert types(heard(STARTED, ResponseFinished("r1", "completed"), SpeechStarted("u1", 0)))[-1] == "speech-started"


def test_without_interruptions_the_client_is_not_told_to_fall_silent() -> None:
    quiet = SettingsApplied(Settings(turn_detection=TurnDetection(interrupt_response=False)))
    frames = heard(quiet, STARTED, SpeechStarted("u1", 70), AudioProduced("r1", "i1", b"\0\0"))
    assert types(frames) == ["session-updated", "response-created", "custom", "content-part-added", "audio-delta"]
    assert frames[2]["rawType"] == "input_audio_buffer.speech_started"
    assert frames[2]["raw"] == {"type": "input_audio_buffer.speech_started", "item_id": "u1", "audio_start_ms": 70}


# --- audio


def test_base64_of_whole_samples_passes_as_it_is() -> None:
    delta = base64.b64encode(bytes(range(250)) * 8).decode()
    assert heard(STARTED, AudioProduced("r1", "i1", delta))[-1]["delta"] == delta


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=9), st.booleans()), max_size=12))
def test_any_chunking_gives_whole_samples_and_loses_none(chunks: list[tuple[bytes, bool]]) -> None:
    frames = heard(STARTED, *(AudioProduced("r1", "i1", base64.b64encode(chunk).decode() if as_text else chunk)
                              for chunk, as_text in chunks))
    deltas = [base64.b64decode(frame["delta"], validate=True) for frame in frames if frame["type"] == "audio-delta"]
    assert all(delta and len(delta) % 2 == 0 for delta in deltas)
    whole = b"".join(chunk for chunk, _ in chunks)
    assert b"".join(deltas) == whole[: len(whole) & ~1]


def test_half_samples_of_two_items_do_not_mix() -> None:
    frames = heard(STARTED, AudioProduced("r1", "i1", b"\1"), AudioProduced("r1", "i2", b"\2\3"),
                   AudioProduced("r1", "i1", b"\4"))
    assert audio(frames) == b"\2\3\1\4"


def test_the_url_alphabet_is_translated() -> None:
    assert audio(heard(STARTED, AudioProduced("r1", "i1", "-_-_"))) == base64.b64decode("+/+/")[:2]


@pytest.mark.parametrize("delta", ["", "A", '"}{"', "é" * 4, '","x":"'])
def test_what_is_no_base64_breaks_nothing(delta: str) -> None:
    for frame in heard(STARTED, AudioProduced("r1", "i1", delta)):
        assert set(frame) <= {"type", "responseId", "itemId", "delta"}


def test_audio_longer_than_a_frame_may_be_is_cut() -> None:
    caller, size = GatewayCaller(), limits.MAX_AI_SDK_FRAME_CHARS
    caller.encode(STARTED)
    for chunk in (bytes(size), base64.b64encode(bytes(size)).decode()):
        frames = caller.encode(AudioProduced("r1", "i1", chunk))
        assert max(map(len, frames)) <= size
        assert len(audio([orjson.loads(frame) for frame in frames])) == size


def test_ids_are_escaped() -> None:
    frames = heard(ResponseStarted('r"'), AudioProduced('r"', 'i\\"', b"\0\0"))
    assert frames[-1]["responseId"] == 'r"'
    assert frames[-1]["itemId"] == 'i\\"'


def test_items_that_never_end_are_forgotten() -> None:
    caller = GatewayCaller()
    caller.encode(STARTED)
    for number in range(limits.MAX_OPEN_ITEMS + 9):
        caller.encode(AudioProduced("r1", f"i{number}", b"\0\0"))
    closed = [orjson.loads(frame) for frame in caller.encode(ResponseFinished("r1", "completed"))]
    assert types(closed).count("content-part-done") == limits.MAX_OPEN_ITEMS


# --- tools


def test_a_call_is_told_with_its_deltas() -> None:
    frames = heard(STARTED, ToolArgumentsProduced("r1", "f1", "c1", '{"a":'),
                   ToolArgumentsProduced("r1", "f1", "c1", "1}"), ToolCalled("r1", "f1", "c1", "get", '{"a":1}'))
    ids = {"responseId": "r1", "itemId": "f1", "callId": "c1"}
    assert frames[1:] == [
        {"type": "function-call-arguments-delta", **ids, "delta": '{"a":'},
        {"type": "function-call-arguments-delta", **ids, "delta": "1}"},
        {"type": "function-call-arguments-done", **ids, "name": "get", "arguments": '{"a":1}'}]


@pytest.mark.parametrize(("given", "expected"), [('{"a":1}', '{"a":1}'), ("", "{}"), (" \n", "{}")])
def test_a_call_without_deltas_gets_one_and_arguments_are_json(given: str, expected: str) -> None:
    frames = heard(STARTED, ToolCalled("r1", "f1", "c1", "get", given))
    assert types(frames)[1:] == ["function-call-arguments-delta", "function-call-arguments-done"]
    assert frames[1]["delta"] == frames[2]["arguments"] == expected


def test_parallel_calls_each_get_a_delta() -> None:
    frames = heard(STARTED, ToolArgumentsProduced("r1", "f1", "c1", "{}"), ToolCalled("r1", "f1", "c1", "a", "{}"),
                   ToolCalled("r1", "f2", "c2", "b", "{}"))
    assert [(frame["type"][24:], frame["callId"]) for frame in frames[1:]] == [
        ("delta", "c1"), ("done", "c1"), ("delta", "c2"), ("done", "c2")]


# --- what only a developer sees


@pytest.mark.parametrize("event", [Failed, Rejected])
def test_a_fault_is_an_error_with_the_callers_own_id(event: type) -> None:
    [frame] = heard(event(Fault("invalid_request_error", "invalid_value", "No.", "config.voice", "e1")))
    assert frame == {
        "type": "error", "message": "No.", "code": "invalid_request_error", "clientEventId": "e1",
        "raw": {"type": "invalid_request_error", "code": "invalid_value", "param": "config.voice"}}


def test_optional_members_are_left_out_rather_than_null() -> None:
    [frame] = heard(Failed(Fault("server_error", "oops", "")))
    assert frame == {"type": "error", "message": "Unknown error", "code": "internal_server_error",
                     "raw": {"type": "server_error", "code": "oops"}}


def test_an_acknowledgement_names_command_and_id() -> None:
    assert heard(Acknowledged("input-audio-mute", "m1"), Acknowledged("context-append")) == [
        {"type": "command-acknowledged", "command": "input-audio-mute", "clientEventId": "m1"},
        {"type": "command-acknowledged", "command": "context-append"}]


def test_a_warning_reaches_the_developer() -> None:
    [frame] = heard(Warned("voice_unknown", "There is no such voice.", "voice"))
    assert frame["rawType"] == "relay.warning"
    assert frame["raw"] == {"type": "relay.warning", "code": "voice_unknown", "message": "There is no such voice.",
                            "param": "voice"}


@pytest.mark.parametrize(
    ("event", "raw_type"),
    [
        (Unmapped("rate_limits.updated", "model", b'{"__proto__":1}'), "rate_limits.updated"),
        (AudioCleared(), "input_audio_buffer.cleared"),
        (ItemTruncated("i1", 300), "conversation.item.truncated"),
        (ItemDeleted("i1"), "conversation.item.deleted"),
        (IdleTimedOut("u1", 1, 2), "input_audio_buffer.timeout_triggered"),
        (TranscriptionFailed("u1", Fault("server_error", "x", "y")),
         "conversation.item.input_audio_transcription.failed"),
    ],
)
def test_what_the_protocol_has_no_word_for_is_custom(event: Event, raw_type: str) -> None:
    [frame] = heard(event)
    assert frame["type"] == "custom"
    assert frame["rawType"] == raw_type
    assert b"__proto__" not in orjson.dumps(frame)


@pytest.mark.parametrize("event", [ItemFinished(message("x")), ClearRequested(), Unmapped("x", "caller", b"{}")])
def test_what_the_client_has_no_use_for_is_left_out(event: Event) -> None:
    assert heard(event) == []


def test_no_frame_is_longer_than_the_client_bears() -> None:
    huge = "x" * limits.MAX_AI_SDK_FRAME_CHARS
    assert heard(ItemAdded(message(huge))) == []
    frames = heard(STARTED, ToolArgumentsProduced("r1", "f", "c", huge), Failed(Fault("server_error", "x", huge)))
    assert types(frames)[1:] == ["error", "error"]


# --- the end


@pytest.mark.parametrize("reason", [reason for reason in CloseReason if reason.http_status != 200])
def test_an_end_by_fault_says_why(reason: CloseReason) -> None:
    [frame] = [orjson.loads(frame) for frame in GatewayCaller().farewell(reason)]
    assert frame["type"] == "error"
    assert frame["message"] == reason.text
    assert frame["raw"]["code"] == reason.code


@pytest.mark.parametrize(
    ("reason", "code"),
    [(CloseReason.UNAUTHENTICATED, "authentication_error"), (CloseReason.FORBIDDEN, "forbidden"),
     (CloseReason.UNKNOWN_MODEL, "model_not_found"), (CloseReason.TOO_FAST, "rate_limit_exceeded"),
     (CloseReason.MODEL_LOST, "failed_dependency"), (CloseReason.BAD_FRAME, "invalid_request_error"),
     (CloseReason.INTERNAL, "internal_server_error")],
)
def test_an_end_carries_the_clients_word_for_it(reason: CloseReason, code: str) -> None:
    assert orjson.loads(GatewayCaller().farewell(reason, "Because.")[0])["code"] == code


def test_an_ordinary_end_needs_no_words() -> None:
    assert GatewayCaller().farewell(CloseReason.DONE) == []
