import base64
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from relay import limits
from relay.dialects.ai_gateway import GatewayCaller
from relay.events import (
    Acknowledged,
    AudioAppended,
    CancelRequested,
    ClearRequested,
    CommitRequested,
    Event,
    ItemCreateRequested,
    ItemTruncateRequested,
    Rejected,
    ResponseRequested,
    SettingsApplied,
    SettingsRequested,
    Warned,
)
from relay.nouns import ALAW8K, MULAW8K, Fault, Item, Part, ResponseOptions, Settings

PCM = base64.b64encode(b"\x01\x02" * 20).decode()


def said(message: Any, caller: GatewayCaller | None = None) -> list[Event]:
    return (caller or GatewayCaller()).decode(orjson.dumps(message))


def refused(message: Any, caller: GatewayCaller | None = None) -> Fault:
    [event] = said(message, caller)
    assert isinstance(event, Rejected)
    assert event.fault.type == "invalid_request_error"
    return event.fault


def test_the_hooks_first_frame_asks_for_settings() -> None:
    assert said({"type": "session-update", "config": {}}) == [SettingsRequested({})]


def test_settings_without_effect_come_with_a_warning() -> None:
    request, warning = said({"type": "session-update", "config": {"voice": "v", "magic": 1}, "eventId": "e1"})
    assert request == SettingsRequested({"voice": "v"}, "e1")
    assert isinstance(warning, Warned)


def test_settings_in_effect_are_what_a_partial_update_is_laid_over() -> None:
    caller = GatewayCaller(Settings(extra={"tracing": "auto"}))
    update = {"type": "session-update", "config": {"providerOptions": {"openai": {"truncation": "auto"}}}}
    assert said(update, caller) == [SettingsRequested({"extra": {"tracing": "auto", "truncation": "auto"}})]
    caller.encode(SettingsApplied(Settings()))
    assert said(update, caller) == [SettingsRequested({"extra": {"truncation": "auto"}})]


def test_speech_stays_base64() -> None:
    assert said({"type": "input-audio-append", "audio": PCM}) == [AudioAppended(PCM)]
    assert said({"type": "input-audio-append", "audio": PCM, "eventId": "e"}) == [AudioAppended(PCM, "e")]


def test_empty_speech_is_nothing() -> None:
    assert said({"type": "input-audio-append", "audio": ""}) == []


@pytest.mark.parametrize("audio", ["AAA", "AAAAAA=", 5, None])
def test_speech_that_is_no_base64_is_refused(audio: object) -> None:
    assert refused({"type": "input-audio-append", "audio": audio}).param == "audio"


def test_half_a_sample_is_passed_on_for_the_next_frame_to_complete() -> None:
    assert said({"type": "input-audio-append", "audio": "AA=="}) == [AudioAppended("AA==")]


def test_buffer_and_response_requests_have_their_counterparts() -> None:
    assert said({"type": "input-audio-commit"}) == [CommitRequested()]
    assert said({"type": "input-audio-clear", "eventId": "c"}) == [ClearRequested("c")]
    assert said({"type": "response-cancel"}) == [CancelRequested(strict=False)]


def test_a_bare_response_create_takes_over() -> None:
    assert said({"type": "response-create"}) == [ResponseRequested(takeover=True)]


def test_response_options_are_read() -> None:
    options = {"modalities": ["text"], "instructions": "Shout.", "metadata": {"a": "1", "b": {"c": 2}}}
    assert said({"type": "response-create", "options": options}) == [
        ResponseRequested(ResponseOptions(modality="text", instructions="Shout.", metadata={"a": "1", "b": '{"c":2}'}),
                          takeover=True)]


def test_a_typed_message_becomes_an_item() -> None:
    item = {"type": "text-message", "role": "user", "text": "Hi"}
    assert said({"type": "conversation-item-create", "item": item}) == [
        ItemCreateRequested(Item("", "message", role="user", content=(Part("input_text", "Hi"),)))]


def test_a_clip_becomes_an_item_with_its_samples() -> None:
    item = {"type": "audio-message", "role": "user", "audio": PCM}
    assert said({"type": "conversation-item-create", "item": item}) == [
        ItemCreateRequested(Item("", "message", role="user",
                                 content=(Part("input_audio", audio=base64.b64decode(PCM)),)))]


def test_a_tool_output_becomes_an_item() -> None:
    item = {"type": "function-call-output", "callId": "call_1", "name": "f", "output": '{"t":20}'}
    assert said({"type": "conversation-item-create", "item": item}) == [
        ItemCreateRequested(Item("", "function_call_output", call_id="call_1", name="f", output='{"t":20}'))]


@pytest.mark.parametrize(
    ("sent", "read"), [(432, 432), (431.6, 432), (-5, 0), (1e300, int(limits.MAX_SESSION_S * 1000))]
)
def test_a_truncation_is_never_strict_and_stays_in_bounds(sent: float, read: int) -> None:
    message = {"type": "conversation-item-truncate", "itemId": "i", "contentIndex": 0, "audioEndMs": sent}
    assert said(message) == [ItemTruncateRequested("i", read, 0, strict=False)]


@pytest.mark.parametrize(("format", "silence"), [(None, b"\0"), (MULAW8K, b"\xff"), (ALAW8K, b"\xd5")])
def test_a_muted_microphone_gives_as_much_silence(format: Any, silence: bytes) -> None:
    caller = GatewayCaller(Settings(input_format=format) if format else Settings())
    append = {"type": "input-audio-append", "audio": PCM}
    assert said({"type": "input-audio-mute", "eventId": "m1"}, caller) == [Acknowledged("input-audio-mute", "m1")]
    assert said(append, caller) == [AudioAppended(silence * 40)]
    assert said({"type": "input-audio-unmute"}, caller) == [Acknowledged("input-audio-unmute")]
    assert said(append, caller) == [AudioAppended(PCM)]


def test_appended_context_is_a_system_message_and_is_acknowledged() -> None:
    message = {"type": "context-append", "content": "It rains.", "delegationId": None, "eventId": "c1"}
    item = Item("", "message", role="system", content=(Part("input_text", "It rains."),))
    assert said(message) == [ItemCreateRequested(item, request_id="c1"), Acknowledged("context-append", "c1")]


def test_context_for_a_delegation_is_refused() -> None:
    assert refused({"type": "context-append", "content": "x", "delegationId": "d"}).param == "delegationId"


@pytest.mark.parametrize("type", ["session-start", "session-close"])
def test_events_of_continuous_models_are_refused_by_name(type: str) -> None:
    fault = refused({"type": type, "config": {}, "eventId": "e9"})
    assert type in fault.message
    assert fault.request_id == "e9"


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"type": "no-such-event"}, "type"),
        ({"type": 7}, "type"),
        ({"type": ["input-audio-append"], "audio": PCM}, "type"),
        ({}, "type"),
        ({"type": "session-update"}, "config"),
        ({"type": "session-update", "config": {}, "eventId": 4}, "eventId"),
        ({"type": "input-audio-commit", "eventId": "x" * (limits.MAX_EVENT_ID_CHARS + 1)}, "eventId"),
        ({"type": "response-create", "options": None}, "options"),
        ({"type": "response-create", "options": {"modalities": "text"}}, "options.modalities"),
        ({"type": "response-create", "options": {"metadata": []}}, "options.metadata"),
        ({"type": "conversation-item-create"}, "item"),
        ({"type": "conversation-item-create", "item": {"type": "image"}}, "item.type"),
        ({"type": "conversation-item-create", "item": {"type": "text-message", "text": "x"}}, "item.role"),
        ({"type": "conversation-item-create", "item": {"type": "text-message", "role": "user"}}, "item.text"),
        ({"type": "conversation-item-create", "item": {"type": "audio-message", "role": "user", "audio": "AA=="}},
         "item.audio"),
        ({"type": "conversation-item-create", "item": {"type": "function-call-output", "callId": "c", "output": {}}},
         "item.output"),
        ({"type": "conversation-item-truncate", "itemId": "i"}, "audioEndMs"),
        ({"type": "conversation-item-truncate", "audioEndMs": 3}, "itemId"),
        ({"type": "conversation-item-truncate", "itemId": "i", "audioEndMs": 1, "contentIndex": "0"}, "contentIndex"),
    ],
)
def test_a_frame_the_protocol_does_not_allow_is_refused_by_member(message: Any, param: str) -> None:
    assert refused(message).param == param


def test_a_refusal_carries_the_callers_own_id() -> None:
    assert refused({"type": "session-update", "config": 1, "eventId": "e7"}).request_id == "e7"


@pytest.mark.parametrize("frame", [b"", b"{", b"null", b"[]", b'"x"', b"1", b"\xff", b'{"type":"\\ud800"}', b"NaN",
                                   b'[{"type":"input-audio-commit"}]', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(frame: bytes) -> None:
    [event] = GatewayCaller().decode(frame)
    assert isinstance(event, Rejected)
    assert event.fault.code == "invalid_json"


def test_a_binary_frame_is_refused() -> None:
    [event] = GatewayCaller().decode(b'{"type":"input-audio-commit"}', binary=True)
    assert isinstance(event, Rejected)
    assert event.fault.code == "binary_frame"


@pytest.mark.parametrize("key", ["__proto__", "\\u005f_proto__"])
def test_a_prototype_key_is_refused_however_it_is_spelled(key: str) -> None:
    for frame in (f'{{"type":"input-audio-commit","{key}":1}}', f'{{"type":"session-update","config":{{"{key}":1}}}}'):
        [event] = GatewayCaller().decode(frame.encode())
        assert isinstance(event, Rejected)


MEMBERS = st.sampled_from([
    "type", "config", "item", "audio", "eventId", "itemId", "audioEndMs", "contentIndex", "options", "content", "text",
    "role", "callId", "name", "output", "tools", "parameters", "turnDetection", "providerOptions", "relay", "gateway",
    "inputAudioFormat", "rate", "threshold", "modalities", "metadata", "instructions", "idleTimeoutMs", "delegationId",
])
WORDS = st.sampled_from([
    "session-update", "input-audio-append", "conversation-item-create", "conversation-item-truncate", "response-create",
    "context-append", "input-audio-mute", "text-message", "audio-message", "function-call-output", "user", "function",
    "server-vad", "audio/pcm", "audio/pcmu", "text", "AAAA", "AA==", "",
])
TREES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(MEMBERS | st.text(max_size=8), inner, max_size=8),
    max_leaves=30,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(MEMBERS, TREES, max_size=6), WORDS)
def test_no_tree_of_known_members_is_ever_raised_on(message: dict[str, Any], type: str) -> None:
    caller = GatewayCaller()
    for event in said({**message, "type": type}, caller) + said(message, caller):
        assert isinstance(event, Event)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200), st.booleans())
def test_no_bytes_are_ever_raised_on(frame: bytes, binary: bool) -> None:
    [event] = GatewayCaller().decode(b"{" + frame, binary=binary) or [None]
    assert event is None or isinstance(event, Event)
