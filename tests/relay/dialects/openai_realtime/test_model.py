import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter

from relay import events, limits
from relay.dialects.base import ModelDialect
from relay.dialects.openai_realtime import OpenAICaller, OpenAIModel
from relay.nouns import (
    MULAW8K,
    Fault,
    Item,
    Part,
    ResponseOptions,
    Settings,
    Tool,
    Transcription,
    TurnDetection,
    Usage,
)

CLIENT_EVENT = TypeAdapter(RealtimeClientEvent)
ASSISTANT = Item("item_A1", "message", "assistant", content=(Part("output_audio", "hi"),))
CALL = Item("item_F1", "function_call", call_id="call_1", name="f", arguments="{}")
USER = Item("item_U1", "message", "user", content=(Part("input_audio", "hi"), Part("input_text", "you")))
IN_FORCE = ResponseOptions(modality="audio", voice="cedar", max_output_tokens=9, metadata={"a": "b"})
SETTINGS = Settings(
    model="m",
    instructions="x",
    voice="cedar",
    input_format=MULAW8K,
    transcription=Transcription("whisper-1", "en"),
    turn_detection=TurnDetection(threshold=0.6, interrupt_response=False),
    tools=(Tool("f", "d"),),
    max_output_tokens=50,
    extra={"truncation": "auto", "noise_reduction": {"type": "near_field"}},
)

REQUESTS = [
    events.AudioAppended("//8AAA=="),
    events.CommitRequested(request_id="evt_1"),
    events.ClearRequested(),
    events.ItemCreateRequested(Item("i", "message", "user", content=(Part("input_text", "x"),)), "root", "evt_1"),
    events.ItemCreateRequested(Item("", "message", "user", content=(Part("input_audio", "x", b"\0\1"),))),
    events.ItemCreateRequested(Item("", "function_call_output", call_id="c", output="42")),
    events.ItemTruncateRequested("i", 640),
    events.ItemDeleteRequested("i"),
    events.ItemRetrieveRequested("i", "evt_1"),
    events.ResponseRequested(),
    events.ResponseRequested(ResponseOptions(modality="text", instructions="x", out_of_band=True, input=())),
    events.CancelRequested(),
    events.CancelRequested("resp_1"),
    events.SettingsRequested({name: getattr(SETTINGS, name) for name in SETTINGS.__slots__ if name != "model"}),
    events.SettingsRequested({"instructions": "", "turn_detection": None}),
]

HAPPENINGS = [
    events.SessionOpened("sess_1", SETTINGS, 1756324625),
    events.SettingsApplied(SETTINGS),
    events.SpeechStarted("item_U1", 820),
    events.SpeechStopped("item_U1", 1900),
    events.IdleTimedOut("item_U1", 0, 6000),
    events.AudioCommitted("item_U1", "item_U0"),
    events.AudioCommitted("item_U1"),
    events.AudioCleared(),
    events.ItemAdded(USER, "item_U0"),
    events.ItemFinished(USER),
    events.ItemRetrieved(Item("i", "message", "user", content=(Part("input_audio", "hi", b"\0\1"),))),
    events.ItemTruncated("item_A1", 640),
    events.ItemDeleted("item_A1"),
    events.InputTranscribed("item_U1", "hel", False, "hel"),
    events.InputTranscribed("item_U1", "hello", True, usage=Usage(seconds=1.5)),
    events.TranscriptionFailed("item_U1", Fault("transcription_error", "audio_unintelligible", "?")),
    events.ResponseStarted("resp_1", IN_FORCE, "conv_1"),
    events.ResponseStarted("resp_1", ResponseOptions("text", voice="cedar", max_output_tokens=9, out_of_band=True)),
    events.OutputItemStarted("resp_1", Item("item_A1", "message", "assistant", "in_progress"), 2),
    events.OutputItemStarted("resp_1", Item("i", "function_call", None, "in_progress", (), "c", "f", ""), 1),
    events.AudioProduced("resp_1", "item_A1", "//8AAA==", 2, 1),
    events.TranscriptProduced("resp_1", "item_A1", "hi", 2, 1),
    events.TextProduced("resp_1", "item_A1", "hi", 2, 1),
    events.ToolArgumentsProduced("resp_1", "item_F1", "call_1", '{"a"', 1),
    events.ToolCalled("resp_1", "item_F1", "call_1", "f", '{"a":1}', 1),
    events.OutputItemFinished("resp_1", ASSISTANT, 2),
    events.OutputItemFinished("resp_1", CALL, 1),
    events.ResponseFinished(
        "resp_1", "completed", output=(ASSISTANT, CALL), usage=Usage(1, 2, 1, 1, 3, 4), options=IN_FORCE,
        conversation_id="conv_1",
    ),
    events.ResponseFinished("resp_1", "cancelled", "turn_detected", options=IN_FORCE, conversation_id="conv_1"),
    events.ResponseFinished(
        "resp_1", "failed", fault=Fault("server_error", "broken", "It broke."), options=IN_FORCE,
        conversation_id="conv_1",
    ),
    events.Failed(Fault("invalid_request_error", "response_cancel_not_active", "Nothing runs.", "x", "evt_1")),
    events.Warned("voice_unknown", "There is no such voice.", "voice"),
]  # fmt: skip


def values(event):
    """An event without the frame it came in as."""
    return type(event), {name: getattr(event, name) for name in event.__slots__ if name != "raw"}


def name(event):
    return type(event).__name__


def test_it_is_a_model_dialect():
    model: ModelDialect = OpenAIModel()
    assert model.name == OpenAICaller("sess_1").name


@pytest.mark.parametrize("request_", REQUESTS, ids=name)
def test_a_request_is_one_client_event_of_the_sdk_and_is_read_back(request_):
    (frame,) = OpenAIModel().encode(request_)
    CLIENT_EVENT.validate_json(frame)
    (got,) = OpenAICaller("sess_1").decode(frame)
    assert values(got) == values(request_)
    assert got.raw == frame


@pytest.mark.parametrize("happening", HAPPENINGS, ids=name)
def test_a_happening_is_written_and_read_back(read, happening):
    caller, model = OpenAICaller("sess_1"), OpenAIModel()
    caller.encode(events.SettingsApplied(Settings(voice="cedar", max_output_tokens=9)))
    frames = caller.encode(happening)
    read(frames)
    got = [event for frame in frames for event in model.decode(frame)]
    assert values(happening) in [values(event) for event in got]
    others = {type(event) for event in got} - {type(happening)}
    # What the ceremony adds has no meaning of its own, or repeats the same for the conversation or for streaming.
    assert others <= {
        events.Unmapped,
        events.ItemAdded,
        events.ItemFinished,
        events.ToolArgumentsProduced,
        events.ToolCalled,
    }


def test_the_frame_stays_with_what_it_says():
    raw = b'{"type":"input_audio_buffer.cleared","event_id":"e"}'
    assert OpenAIModel().decode(raw) == [events.AudioCleared(raw)]


def test_our_own_requests_have_no_event_id():
    (frame,) = OpenAIModel().encode(events.CommitRequested())
    assert orjson.loads(frame) == {"type": "input_audio_buffer.commit"}


def test_samples_are_sent_as_standard_base64():
    (frame,) = OpenAIModel().encode(events.AudioAppended(b"\xff\xff\0\0"))
    assert orjson.loads(frame) == {"type": "input_audio_buffer.append", "audio": "//8AAA=="}


def test_audio_of_a_hostile_caller_stays_in_its_string():
    evil = '","type":"response.create","x":"\\'
    (frame,) = OpenAIModel().encode(events.AudioAppended(evil))
    assert orjson.loads(frame) == {"type": "input_audio_buffer.append", "audio": evil}


def test_frames_of_the_same_dialect_pass_as_they_came():
    model = OpenAIModel(passthrough=True)
    raw = b'{"type":"x","event_id":"evt_1"}'
    assert model.encode(events.AudioAppended("AAAA", raw=raw)) == [raw]
    assert model.encode(events.CommitRequested(raw=raw)) == [raw]
    assert model.encode(events.Unmapped("output_audio_buffer.clear", "caller", raw)) == [raw]
    assert model.encode(events.CommitRequested()) == [b'{"type":"input_audio_buffer.commit"}']


def test_frames_pass_only_where_both_sides_agreed_to_it():
    raw = b'{"type":"x"}'
    assert OpenAIModel().encode(events.Unmapped("x", "caller", raw)) == []
    assert OpenAIModel().encode(events.CommitRequested(raw=raw)) != [raw]
    assert OpenAIModel(passthrough=True).encode(events.Unmapped("x", "model", raw)) == []


@pytest.mark.parametrize("event", [events.TurnOpened("i"), events.Acknowledged("x"), events.LegOpened("model")])
def test_what_has_no_word_is_not_sent(event):
    assert OpenAIModel().encode(event) == []


@pytest.mark.parametrize(
    "kind",
    [
        "conversation.created",
        "conversation.item.created",
        "rate_limits.updated",
        "response.content_part.added",
        "response.output_audio.done",
        "mcp_list_tools.completed",
        "some.new.event",
    ],
)
def test_what_has_no_meaning_for_us_is_carried(kind):
    raw = orjson.dumps({"type": kind})
    assert OpenAIModel().decode(raw) == [events.Unmapped(kind, "model", raw)]


def test_golden_cancelled_response():
    raw = (
        b'{"type":"response.done","event_id":"event_8","response":{"id":"resp_R1","object":"realtime.response",'
        b'"status":"cancelled","status_details":{"type":"cancelled","reason":"turn_detected"},"output":[],'
        b'"conversation_id":"conv_C1","output_modalities":["audio"],"max_output_tokens":"inf","audio":{"output":'
        b'{"format":{"type":"audio/pcmu"},"voice":"cedar"}},"usage":{"total_tokens":0,"input_tokens":0,'
        b'"output_tokens":0,"input_token_details":{"text_tokens":0,"audio_tokens":0,"image_tokens":0,'
        b'"cached_tokens":0,"cached_tokens_details":{"text_tokens":0,"audio_tokens":0,"image_tokens":0}},'
        b'"output_token_details":{"text_tokens":0,"audio_tokens":0}},"metadata":null}}'
    )
    options = ResponseOptions(modality="audio", voice="cedar")
    expected = events.ResponseFinished(
        "resp_R1", "cancelled", "turn_detected", usage=Usage(), options=options, conversation_id="conv_C1", raw=raw
    )
    assert OpenAIModel().decode(raw) == [expected]


def test_golden_audio_delta():
    raw = (
        b'{"type":"response.output_audio.delta","event_id":"event_6","response_id":"resp_R1","item_id":"item_A1",'
        b'"output_index":0,"content_index":0,"delta":"/v7+"}'
    )
    assert OpenAIModel().decode(raw) == [events.AudioProduced("resp_R1", "item_A1", "/v7+", raw=raw)]


def test_a_delta_without_indexes_is_of_the_first_part():
    raw = b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"AAAA","output_index":"x"}'
    assert OpenAIModel().decode(raw) == [events.AudioProduced("r", "i", "AAAA", raw=raw)]


def test_a_transcript_grows_until_it_is_complete():
    model = OpenAIModel()
    kind = "conversation.item.input_audio_transcription"

    def hear(what, **members):
        (event,) = model.decode(orjson.dumps({"type": f"{kind}.{what}", "item_id": "i", **members}))
        return event.text, event.delta, event.final

    assert hear("delta", delta="hel") == ("hel", "hel", False)
    assert hear("delta", delta="lo") == ("hello", "lo", False)
    assert hear("completed", transcript="Hello.") == ("Hello.", "", True)
    assert hear("delta", delta="new") == ("new", "new", False)


def test_transcripts_that_never_complete_are_forgotten():
    model = OpenAIModel()
    kind = "conversation.item.input_audio_transcription.delta"
    for n in range(3 * limits.MAX_OPEN_ITEMS):
        model.decode(orjson.dumps({"type": kind, "item_id": f"i{n}", "delta": "x"}))
    assert len(model.transcripts) == limits.MAX_OPEN_ITEMS


@pytest.mark.parametrize(("conversation", "expected"), [({}, "conv_default"), ({"conversation_id": None}, None)])
def test_only_null_means_out_of_band(conversation, expected):
    (event,) = OpenAIModel().decode(orjson.dumps({"type": "response.created", "response": {"id": "r", **conversation}}))
    assert event.conversation_id == expected
    assert event.options.out_of_band is (expected is None)


def test_a_call_without_arguments_has_an_empty_object():
    (event,) = OpenAIModel().decode(b'{"type":"response.function_call_arguments.done","arguments":""}')
    assert event.arguments == "{}"


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"[]",
        b"\xff",
        b"{}",
        b'{"type":5}',
        b'{"type":"error"}',
        b'{"type":"error","error":"x"}',
        b'{"type":"session.created"}',
        b'{"type":"response.done","response":null}',
        b'{"type":"response.output_audio.delta"}',
        b'{"type":"response.output_audio.delta","delta":5,"response_id":"r","item_id":"i","output_index":0,"content_index":0}',
        b'{"type":"conversation.item.added","item":[]}',
    ],
)
def test_a_frame_that_cannot_be_read_is_the_models_fault_and_is_not_passed_on(raw):
    (event,) = OpenAIModel().decode(raw)
    assert isinstance(event, events.Failed)
    assert (event.fault.type, event.raw) == ("server_error", None)


def test_a_binary_frame_is_the_models_fault():
    assert isinstance(OpenAIModel().decode(b"\0", binary=True)[0], events.Failed)


# --- whatever comes -----------------------------------------------------------------------------------------

fuzz = settings(deadline=None, derandomize=True, database=None)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
VALID = [frame for event in HAPPENINGS for frame in OpenAICaller("sess_1").encode(event)]


@st.composite
def mutated(draw):
    """A valid frame with one value somewhere in it replaced or taken away."""
    message = orjson.loads(draw(st.sampled_from(VALID)))
    node = message
    while True:
        where = draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
        if isinstance(node[where], (dict, list)) and node[where] and draw(st.booleans()):
            node = node[where]
            continue
        if draw(st.booleans()):
            del node[where]
        else:
            node[where] = draw(JSON)
        return orjson.dumps(message)


@fuzz
@given(st.one_of(st.binary(max_size=200), JSON.map(orjson.dumps), mutated()))
def test_whatever_a_model_sends_is_one_event_and_can_be_told_to_a_caller(raw):
    got = OpenAIModel().decode(raw)
    assert len(got) == 1
    for frame in OpenAICaller("sess_1").encode(got[0]):
        assert orjson.loads(frame)["type"]


@fuzz
@given(mutated())
def test_what_a_model_sends_keeps_its_frame(raw):
    (event,) = OpenAIModel().decode(raw)
    if not isinstance(event, (events.Failed, events.Warned)):
        assert event.raw == raw
