"""Messages between the relay and its engine processes."""

import pytest

from relay.providers.local.messages import MAX_MESSAGE_BYTES, PREFIX, Message, lengths, pack, unpack


@pytest.mark.parametrize(("head", "tail"), [({}, b""), ({"text": "é"}, b""), ({"do": "hear"}, bytes(range(256)))])
def test_packed_message_is_unpacked_as_it_was(head, tail):
    packed = pack(head, tail)
    head_bytes, tail_bytes = lengths(packed[: PREFIX.size])
    assert len(packed) == PREFIX.size + head_bytes + tail_bytes
    assert unpack(packed[PREFIX.size :], head_bytes) == Message(head, tail)


@pytest.mark.parametrize("prefix", [PREFIX.pack(MAX_MESSAGE_BYTES + 1, 2), PREFIX.pack(3, 2), b"Trace\n"])
def test_impossible_lengths_are_refused(prefix):
    with pytest.raises(ValueError, match="not a message"):
        lengths(prefix)


@pytest.mark.parametrize("body", [b"[]", b"{", b"12"])
def test_head_that_is_no_object_is_refused(body):
    with pytest.raises(ValueError):  # noqa: PT011 - orjson words it as it likes
        unpack(body, len(body))
