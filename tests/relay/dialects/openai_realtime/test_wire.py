import pytest

from relay import limits
from relay.dialects.openai_realtime.wire import (
    Invalid,
    audio_bytes,
    check_depth,
    choice,
    flag,
    ident,
    integer,
    known_members,
    listing,
    loads,
    members,
    nullable,
    number,
    quoted,
    record,
    request_id_of,
    text,
)


def nested(depth: int) -> dict:
    value: dict = {}
    for _ in range(depth - 1):
        value = {"a": value}
    return value


@pytest.mark.parametrize("frame", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":NaN}', b'"\\ud800"', b"[" * 100_000])
def test_a_frame_that_is_no_object_is_invalid(frame):
    with pytest.raises(Invalid) as problem:
        loads(frame)
    assert problem.value.code == "invalid_event"


def test_nesting_up_to_the_bound_is_allowed_and_not_beyond():
    check_depth(nested(limits.MAX_JSON_DEPTH))
    with pytest.raises(Invalid):
        check_depth(nested(limits.MAX_JSON_DEPTH + 1))


def test_arrays_count_as_nesting():
    value: list = []
    for _ in range(limits.MAX_JSON_DEPTH):
        value = [value]
    with pytest.raises(Invalid):
        check_depth({"a": value})


@pytest.mark.parametrize(
    ("reader", "value"),
    [
        (text, 1),
        (text, None),
        (flag, 1),
        (ident, ""),
        (ident, "x" * (limits.MAX_EVENT_ID_CHARS + 1)),
        (integer(0), True),
        (integer(0), -1),
        (integer(0), 1.5),
        (integer(1, 2), 3),
        (number(0.0, 1.0), "1"),
        (number(0.0, 1.0), 1.01),
        (number(0.0, 1.0), True),
        (choice("a", "b"), "c"),
        (choice("a", "b"), {"a": 1}),
        (listing(text), ["a", 1]),
        (listing(text), "a"),
        (nullable(text), 1),
        (audio_bytes, "a"),
        (audio_bytes, "////*==="),
        (record({"a": text}), []),
    ],
)
def test_a_value_that_its_reader_does_not_allow_is_invalid_with_its_path(reader, value):
    with pytest.raises(Invalid) as problem:
        reader(value, "some.path")
    assert problem.value.code == "invalid_value"
    assert problem.value.param.startswith("some.path")


def test_values_that_readers_allow_pass_unchanged():
    assert number(0.25, 1.5)(1.5, "p") == 1.5
    assert nullable(text)(None, "p") is None
    assert audio_bytes("//8AAA==", "p") == b"\xff\xff\0\0"


def test_an_unknown_member_is_named_by_its_dotted_path():
    with pytest.raises(Invalid) as problem:
        members({"a": {"c": 1}}, "session", {"a": record({"b": text})})
    assert (problem.value.code, problem.value.param) == ("unknown_parameter", "session.a.c")


def test_an_unknown_member_with_an_endless_name_is_cut():
    with pytest.raises(Invalid) as problem:
        members({"x" * 10_000: 1}, "session", {})
    assert len(problem.value.message) < 200


def test_a_missing_member_is_named_by_its_path():
    with pytest.raises(Invalid) as problem:
        members({}, "item", {"type": text}, ("type",))
    assert (problem.value.code, problem.value.param) == ("missing_required_parameter", "item.type")


def test_known_members_leaves_out_what_it_cannot_read():
    assert known_members({"a": "x", "b": 1, "c": 2}, {"a": text, "b": text}) == {"a": "x"}
    assert known_members([], {"a": text}) == {}


def test_the_message_of_an_error_does_not_repeat_the_value():
    with pytest.raises(Invalid) as problem:
        integer(0)("my secret", "p")
    assert "secret" not in problem.value.message


def test_quoted_text_cannot_leave_its_string():
    assert quoted('a","type":"x') == b'"a\\",\\"type\\":\\"x"'


def test_quoted_samples_are_standard_base64():
    assert quoted(b"\xff\xff\x00") == b'"//8A"'


def test_a_request_id_is_repeated_only_when_it_is_one():
    assert request_id_of({"event_id": "e"}) == "e"
    assert request_id_of({"event_id": 5}) is None
    assert request_id_of({"event_id": "x" * 513}) is None
