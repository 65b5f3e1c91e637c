import base64
import typing

import openai
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.realtime import RealtimeClientEvent

from relay import events, limits
from relay.dialects.base import CallerDialect
from relay.dialects.openai_realtime import OpenAICaller
from relay.errors import CloseReason
from relay.nouns import MULAW8K, Item, Part, ResponseOptions, Settings, TurnDetection

AUDIO = base64.b64encode(b"\0\1" * 480).decode()
CLIENT_EVENTS = {
    "input_audio_buffer.append": ({"audio": AUDIO}, events.AudioAppended(AUDIO)),
    "input_audio_buffer.commit": ({}, events.CommitRequested()),
    "input_audio_buffer.clear": ({}, events.ClearRequested()),
    "output_audio_buffer.clear": ({}, None),
    "conversation.item.create": (
        {"item": {"type": "function_call_output", "call_id": "call_1", "output": "{}"}, "previous_item_id": "root"},
        events.ItemCreateRequested(Item("", "function_call_output", call_id="call_1", output="{}"), "root"),
    ),
    "conversation.item.retrieve": ({"item_id": "i"}, events.ItemRetrieveRequested("i")),
    "conversation.item.truncate": (
        {"item_id": "item_A1", "content_index": 0, "audio_end_ms": 640},
        events.ItemTruncateRequested("item_A1", 640),
    ),
    "conversation.item.delete": ({"item_id": "i"}, events.ItemDeleteRequested("i")),
    "response.create": (
        {"response": {"conversation": "none", "metadata": {"a": "b"}}},
        events.ResponseRequested(ResponseOptions(out_of_band=True, metadata={"a": "b"})),
    ),
    "response.cancel": ({"response_id": "resp_1"}, events.CancelRequested("resp_1")),
    "session.update": (
        {"session": {"type": "realtime", "instructions": "x"}},
        events.SettingsRequested({"instructions": "x"}),
    ),
}


def frame(kind, **members):
    return orjson.dumps({"type": kind, **members})


def decode(raw, caller=None):
    (event,) = (caller or OpenAICaller("sess_1")).decode(raw)
    return event


def fault(raw, caller=None):
    event = decode(raw, caller)
    assert isinstance(event, events.Rejected), event
    assert event.fault.type == "invalid_request_error"
    return event.fault


def test_it_is_a_caller_dialect():
    caller: CallerDialect = OpenAICaller("sess_1")
    assert (caller.name, caller.waits_for_settings) == ("openai_realtime", False)


def test_every_client_event_of_the_sdk_is_listed_here():
    union = typing.get_args(typing.get_args(RealtimeClientEvent)[0])
    kinds = {typing.get_args(member.model_fields["type"].annotation)[0] for member in union}
    assert kinds == CLIENT_EVENTS.keys(), openai.__version__


@pytest.mark.parametrize("kind", CLIENT_EVENTS)
@pytest.mark.parametrize("event_id", [None, "evt_1"])
def test_every_client_event_becomes_a_request_that_keeps_its_frame(kind, event_id):
    members, expected = CLIENT_EVENTS[kind]
    raw = frame(kind, **members, **({"event_id": event_id} if event_id else {}))
    if expected is None:
        assert decode(raw) == events.Unmapped(kind, "caller", raw)
        return
    values = {name: getattr(expected, name) for name in expected.__slots__}
    assert decode(raw) == type(expected)(**{**values, "request_id": event_id, "raw": raw})


@pytest.mark.parametrize("kind", ["response.create", "response.cancel", "input_audio_buffer.commit"])
def test_optional_members_may_be_absent(kind):
    assert not isinstance(decode(frame(kind)), events.Rejected)


def test_golden_session_update():
    raw = (
        b'{"type":"session.update","event_id":"c1","session":{"type":"realtime","instructions":"Be brief.",'
        b'"audio":{"input":{"format":{"type":"audio/pcmu"},"turn_detection":{"type":"server_vad",'
        b'"silence_duration_ms":400}},"output":{"format":{"type":"audio/pcmu"},"voice":"cedar"}}}}'
    )
    changes = {
        "instructions": "Be brief.",
        "input_format": MULAW8K,
        "turn_detection": TurnDetection(silence_duration_ms=400),
        "output_format": MULAW8K,
        "voice": "cedar",
    }
    assert decode(raw) == events.SettingsRequested(changes, "c1", raw)


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        (b"{", "invalid_event", None),
        (b"[]", "invalid_event", None),
        (b"\xff", "invalid_event", None),
        (b"{}", "invalid_event", "type"),
        (b'{"type":5}', "invalid_value", "type"),
        (b'{"type":{"a":1}}', "invalid_value", "type"),
        (frame("unknown.event"), "invalid_value", "type"),
        (frame("transcription_session.update", session={}), "beta_api_shape_disabled", "type"),
        (frame("session.update"), "missing_required_parameter", "session"),
        (frame("session.update", session={}), "missing_required_parameter", "session.type"),
        (frame("session.update", session={"modalities": ["text"]}), "beta_api_shape_disabled", "session"),
        (frame("session.update", session={"type": "transcription"}), "invalid_value", "session.type"),
        (frame("session.update", session={"type": "realtime", "x": 1}), "unknown_parameter", "session.x"),
        (frame("input_audio_buffer.append"), "missing_required_parameter", "audio"),
        (frame("input_audio_buffer.append", audio=5), "invalid_value", "audio"),
        (frame("input_audio_buffer.append", audio="", x={}), "unknown_parameter", "x"),
        (frame("input_audio_buffer.commit", x=1), "unknown_parameter", "x"),
        (frame("input_audio_buffer.commit", event_id=5), "invalid_value", "event_id"),
        (frame("input_audio_buffer.commit", event_id="x" * 513), "invalid_value", "event_id"),
        (frame("conversation.item.create"), "missing_required_parameter", "item"),
        (frame("conversation.item.create", item={}), "missing_required_parameter", "item.type"),
        (frame("conversation.item.delete"), "missing_required_parameter", "item_id"),
        (
            frame("conversation.item.truncate", item_id="i", content_index=0),
            "missing_required_parameter",
            "audio_end_ms",
        ),
        (
            frame("conversation.item.truncate", item_id="i", content_index=0, audio_end_ms=-1),
            "invalid_value",
            "audio_end_ms",
        ),
        (frame("response.create", response={"modalities": []}), "unknown_parameter", "response.modalities"),
        (frame("response.cancel", response_id=""), "invalid_value", "response_id"),
    ],
)
def test_what_the_protocol_does_not_allow_is_rejected_by_name(raw, code, param):
    problem = fault(raw)
    assert (problem.code, problem.param) == (code, param)


def test_a_rejection_names_the_callers_own_event_id():
    assert fault(frame("response.cancel", event_id="evt_1", x=1)).request_id == "evt_1"
    assert fault(frame("session.update", event_id="evt_2", session={})).request_id == "evt_2"
    assert fault(frame("response.cancel", event_id="x" * 513)).request_id is None


def test_a_binary_frame_is_rejected():
    (event,) = OpenAICaller("sess_1").decode(frame("input_audio_buffer.commit"), binary=True)
    assert isinstance(event, events.Rejected)


def test_a_frame_nested_too_deep_is_rejected():
    schema: dict = {}
    for _ in range(limits.MAX_JSON_DEPTH):
        schema = {"properties": schema}
    tools = [{"type": "function", "name": "f", "parameters": schema}]
    assert fault(frame("session.update", session={"type": "realtime", "tools": tools})).code == "invalid_event"


def test_an_append_beyond_15_mib_is_rejected_and_one_at_the_bound_is_not():
    assert fault(frame("input_audio_buffer.append", audio="A" * (limits.MAX_APPEND_CHARS + 4))).param == "audio"
    assert isinstance(
        decode(frame("input_audio_buffer.append", audio="A" * limits.MAX_APPEND_CHARS)), events.AudioAppended
    )


def test_samples_of_an_item_are_decoded():
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "//8AAA=="}]}
    event = decode(frame("conversation.item.create", item=item))
    assert event.item.content == (Part("input_audio", None, b"\xff\xff\0\0"),)


def test_bad_base64_in_an_item_is_rejected():
    item = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "//8*"}]}
    assert fault(frame("conversation.item.create", item=item)).param == "item.content[0].audio"


def test_a_response_may_name_the_format_that_was_just_asked_for():
    caller = OpenAICaller("sess_1")
    output = {"output": {"format": {"type": "audio/pcmu"}}}
    create = frame("response.create", response={"audio": output})
    assert fault(create, caller).param == "response.audio.output.format"
    decode(frame("session.update", session={"type": "realtime", "audio": output}), caller)
    assert isinstance(decode(create, caller), events.ResponseRequested)


def test_a_response_may_name_the_format_in_force():
    caller = OpenAICaller("sess_1")
    caller.encode(events.SessionOpened("sess_1", Settings(output_format=MULAW8K)))
    create = frame("response.create", response={"audio": {"output": {"format": {"type": "audio/pcmu"}}}})
    assert isinstance(decode(create, caller), events.ResponseRequested)


def test_a_new_list_of_tools_also_clears_those_we_only_carried():
    caller = OpenAICaller("sess_1")
    update = frame("session.update", session={"type": "realtime", "tools": []})
    assert decode(update, caller).changes == {"tools": ()}
    caller.encode(events.SettingsApplied(Settings(extra={"tools": [{"type": "mcp", "server_label": "s"}]})))
    assert decode(update, caller).changes == {"tools": (), "extra": {"tools": None}}


# --- farewell -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "kind", "code"),
    [
        (CloseReason.MAX_DURATION, "invalid_request_error", "session_expired"),
        (CloseReason.UNKNOWN_MODEL, "invalid_request_error", "model_not_found"),
        (CloseReason.UNAUTHENTICATED, "authentication_error", "invalid_api_key"),
        (CloseReason.BETA_SHAPE, "invalid_request_error", "beta_api_shape_disabled"),
        (CloseReason.TOO_FAST, "rate_limit_error", "rate_limit_exceeded"),
        (CloseReason.GOING_AWAY, "server_error", "going_away"),
        (CloseReason.MODEL_LOST, "server_error", "model_lost"),
        (CloseReason.BAD_FRAME, "invalid_request_error", "bad_frame"),
    ],
)
def test_last_words_are_an_error_event_that_says_why(read, reason, kind, code):
    (got,) = read(OpenAICaller("sess_1").farewell(reason))
    assert (got["error"]["type"], got["error"]["code"], got["error"]["message"]) == (kind, code, reason.text)


@pytest.mark.parametrize("reason", CloseReason)
def test_every_reason_has_last_words_or_silence(read, reason):
    messages = read(OpenAICaller("sess_1").farewell(reason, "Sixty minutes are over."))
    silent = (CloseReason.DONE, CloseReason.CALLER_LEFT, CloseReason.CALLER_STALLED)
    assert [m["error"]["message"] for m in messages] == ([] if reason in silent else ["Sixty minutes are over."])


# --- whatever comes -----------------------------------------------------------------------------------------

fuzz = settings(deadline=None, derandomize=True, database=None)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
VALID = [frame(kind, **members) for kind, (members, _) in CLIENT_EVENTS.items()] + [
    frame(
        "session.update", session={"type": "realtime", "audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
    ),
    frame("response.create", response={"input": [{"type": "message", "role": "user", "content": []}], "tools": []}),
]


@st.composite
def mutated(draw):
    """A valid frame with one value somewhere in it replaced."""
    message = orjson.loads(draw(st.sampled_from(VALID)))
    node, value = message, draw(JSON)
    while True:
        name = draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
        if isinstance(node[name], (dict, list)) and node[name] and draw(st.booleans()):
            node = node[name]
            continue
        node[name] = value
        return orjson.dumps(message)


def assert_handled(raw):
    got = OpenAICaller("sess_1").decode(raw)
    assert len(got) == 1
    if isinstance(got[0], events.Rejected):
        assert OpenAICaller("sess_1").encode(got[0])
    elif not isinstance(got[0], events.Unmapped):
        assert got[0].raw == raw


@fuzz
@given(st.binary(max_size=200))
def test_any_bytes_are_handled(raw):
    assert_handled(raw)


@fuzz
@given(JSON.map(orjson.dumps))
def test_any_json_is_handled(raw):
    assert_handled(raw)


@fuzz
@given(mutated())
def test_any_mutation_of_a_valid_frame_is_handled(raw):
    assert_handled(raw)


@fuzz
@given(st.sampled_from(VALID), st.data())
def test_any_cut_or_flipped_frame_is_handled(raw, data):
    position = data.draw(st.integers(0, len(raw) - 1))
    assert_handled(raw[:position])
    assert_handled(raw[:position] + bytes([data.draw(st.integers(0, 255))]) + raw[position + 1 :])
