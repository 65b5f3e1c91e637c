import base64

import pytest

from relay.dialects.openai_realtime.items import (
    item_from,
    item_object,
    item_seen,
    item_wish,
    items_from,
    transcription_usage_object,
    usage_object,
    usage_seen,
)
from relay.dialects.openai_realtime.wire import Invalid
from relay.nouns import Item, Part, Usage

SAMPLES = b"\xff\xff\x00\x01"
B64 = base64.b64encode(SAMPLES).decode()

ALLOWED = [
    (
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
        Item("", "message", "user", content=(Part("input_text", "hi"),)),
    ),
    (
        {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": B64, "transcript": "hi"}]},
        Item("", "message", "user", content=(Part("input_audio", "hi", SAMPLES),)),
    ),
    (
        {"id": "i", "type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "data:x"}]},
        Item("i", "message", "user", content=(Part("input_image", extra={"image_url": "data:x"}),)),
    ),
    (
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "yes"}]},
        Item("", "message", "assistant", content=(Part("output_text", "yes"),)),
    ),
    (
        {"type": "message", "role": "system", "content": []},
        Item("", "message", "system"),
    ),
    (
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        Item("", "function_call", call_id="c", name="f", arguments="{}"),
    ),
    (
        {"type": "function_call_output", "call_id": "c", "output": "42"},
        Item("", "function_call_output", call_id="c", output="42"),
    ),
    (
        {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
        Item("", "mcp_approval_response", extra={"approval_request_id": "a", "approve": True}),
    ),
]


@pytest.mark.parametrize(("wire", "item"), ALLOWED)
def test_an_item_of_the_protocol_is_read_and_written_back(wire, item):
    assert item_from(wire) == item
    assert item_wish(item) == wire


def test_members_without_effect_are_accepted():
    item = item_from({**ALLOWED[0][0], "object": "realtime.item", "status": "completed"})
    assert item == ALLOWED[0][1]


@pytest.mark.parametrize(
    ("wire", "code", "param"),
    [
        (None, "invalid_value", "item"),
        ({}, "missing_required_parameter", "item.type"),
        ({"type": "thought"}, "invalid_value", "item.type"),
        ({"type": "item_reference", "id": "i"}, "invalid_value", "item.type"),
        ({"type": "message", "content": []}, "missing_required_parameter", "item.role"),
        ({"type": "message", "role": "user"}, "missing_required_parameter", "item.content"),
        ({"type": "message", "role": "user", "content": "hi"}, "invalid_value", "item.content"),
        ({"type": "message", "role": "user", "content": [{}]}, "missing_required_parameter", "item.content[0].type"),
        (
            {"type": "message", "role": "user", "content": [{"type": "text", "text": "beta"}]},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "message", "role": "system", "content": [{"type": "input_audio", "audio": B64}]},
            "invalid_value",
            "item.content[0].type",
        ),
        (
            {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": "x"}]},
            "invalid_value",
            "item.content[0].audio",
        ),
        (
            {"type": "message", "role": "assistant", "content": [{"type": "output_audio", "transcript": "x"}]},
            "missing_required_parameter",
            "item.content[0].text",
        ),
        ({"type": "function_call_output", "call_id": "c", "output": {}}, "invalid_value", "item.output"),
        ({"type": "function_call", "name": "f"}, "missing_required_parameter", "item.arguments"),
        ({**ALLOWED[0][0], "id": 5}, "invalid_value", "item.id"),
        ({**ALLOWED[0][0], "mood": "x"}, "unknown_parameter", "item.mood"),
    ],
)
def test_an_item_that_is_not_allowed_is_named(wire, code, param):
    with pytest.raises(Invalid) as problem:
        item_from(wire)
    assert (problem.value.code, problem.value.param) == (code, param)


def test_the_input_of_a_response_may_refer_to_items():
    assert items_from([{"type": "item_reference", "id": "i"}], "p") == (Item("i", "item_reference"),)


def test_a_shown_item_has_no_samples_unless_it_was_retrieved():
    item = Item("i", "message", "user", content=(Part("input_audio", None, SAMPLES),))
    assert item_object(item) == {
        "id": "i",
        "object": "realtime.item",
        "status": "completed",
        "type": "message",
        "role": "user",
        "content": [{"type": "input_audio", "transcript": None}],
    }
    assert item_object(item, audio=True)["content"] == [{"type": "input_audio", "transcript": None, "audio": B64}]


@pytest.mark.parametrize(
    "item",
    [
        Item("i", "message", "user", content=(Part("input_audio", "hi", SAMPLES), Part("input_text", "x"))),
        Item("i", "message", "assistant", "incomplete", (Part("output_audio", "hi"), Part("output_text", "x"))),
        Item("i", "function_call", call_id="c", name="f", arguments="{}", status="in_progress"),
        Item("i", "function_call_output", call_id="c", output="42"),
    ],
)
def test_a_shown_item_is_read_back(item):
    assert item_seen(item_object(item, audio=True)) == item


@pytest.mark.parametrize("spelling", ["audio", "output_audio"])
def test_both_spellings_of_a_spoken_part_are_read(spelling):
    seen = item_seen({"type": "message", "role": "assistant", "content": [{"type": spelling, "transcript": "hi"}]})
    assert seen.content == (Part("output_audio", "hi"),)


@pytest.mark.parametrize(
    "odd",
    [
        None,
        [],
        {},
        {"type": []},
        {"type": "message", "content": 5},
        {"type": "message", "content": [None, {"type": {}}]},
        {"id": {}, "status": "x", "content": [{"type": "input_audio", "audio": 7, "transcript": 5}]},
    ],
)
def test_an_odd_item_is_read_as_far_as_it_can_be(odd):
    assert isinstance(item_seen(odd), Item)


def test_an_item_of_an_unknown_kind_is_carried():
    wire = {"id": "i", "type": "mcp_call", "server_label": "s", "name": "n", "arguments": "{}"}
    seen = item_seen(wire)
    assert (seen.id, seen.type) == ("i", "mcp_call")
    assert item_object(seen).items() >= wire.items()


USAGE = Usage(100, 50, 40, 20, 5, 30, input_image=8, cached_image=4)


def test_usage_adds_up():
    shown = usage_object(USAGE)
    taken, given = shown["input_token_details"], shown["output_token_details"]
    assert shown["total_tokens"] == shown["input_tokens"] + shown["output_tokens"] == 193
    assert shown["input_tokens"] == taken["text_tokens"] + taken["audio_tokens"] + taken["image_tokens"]
    assert taken["cached_tokens"] == sum(taken["cached_tokens_details"].values())
    assert shown["output_tokens"] == given["text_tokens"] + given["audio_tokens"]


def test_usage_is_read_back():
    assert usage_seen(usage_object(USAGE)) == USAGE
    assert usage_seen(transcription_usage_object(Usage(3, 4, output_text=5))) == Usage(3, 4, output_text=5)
    assert usage_seen(transcription_usage_object(Usage(seconds=1.5))) == Usage(seconds=1.5)


def test_usage_without_details_counts_as_text():
    assert usage_seen({"input_tokens": 7, "output_tokens": 3}) == Usage(input_text=7, output_text=3)


@pytest.mark.parametrize("odd", [None, [], "x", {"type": "duration", "seconds": "x"}])
def test_usage_that_is_none_is_none(odd):
    assert usage_seen(odd) is None


def test_counts_that_cannot_be_added_up_are_not_believed():
    huge = {"input_token_details": {"text_tokens": 2**64 - 1, "audio_tokens": 2}}
    assert usage_seen(huge) == Usage(input_audio=2)


def test_a_transcription_always_has_usage():
    assert transcription_usage_object(None) == {"type": "duration", "seconds": 0.0}
