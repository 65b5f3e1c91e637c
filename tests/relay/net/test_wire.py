"""Frames as bytes, read back by an independent implementation (the `websockets` library)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.streams import StreamReader

from relay import limits
from relay.errors import CloseReason
from relay.net.wire import (
    BINARY,
    CLOSE,
    TEXT,
    UNSENDABLE_CODES,
    close_payload,
    masked_frame,
    plain_frame,
    websocket_mask,
)

SIZES = [0, 1, 125, 126, 127, 65_535, 65_536, 70_000]


def read_back(data: bytes, masked: bool) -> Frame:
    """Parse exactly one frame."""
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=masked, max_size=None)
    try:
        next(parsing)
    except StopIteration as parsed:
        assert not reader.buffer, "there is more than one frame"
        frame: Frame = parsed.value
        return frame
    raise AssertionError("the frame is not whole")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("masked", [False, True])
def test_frame_of_any_size_is_read_back_by_another_library(size: int, opcode: int, masked: bool) -> None:
    payload = bytes(n % 251 for n in range(size))
    frame = read_back((masked_frame if masked else plain_frame)(payload, opcode), masked)
    assert (frame.opcode, bytes(frame.data), frame.fin) == (Opcode(opcode), payload, True)


def test_masks_differ_from_frame_to_frame() -> None:
    assert len({masked_frame(b"x")[2:6] for _ in range(20)}) == 20


@given(st.binary(max_size=200), st.binary(min_size=4, max_size=4))
def test_masking_twice_gives_back_the_payload(payload: bytes, mask: bytes) -> None:
    body = bytearray(payload)
    websocket_mask(mask, body)
    assert body == bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))


@pytest.mark.parametrize("reason", CloseReason)
def test_every_close_reason_can_be_sent_or_is_known_to_be_unsendable(reason: CloseReason) -> None:
    if reason.ws_code in UNSENDABLE_CODES:
        with pytest.raises(ValueError, match="must not be sent"):
            close_payload(reason.ws_code, reason.text)
        return
    close = Close.parse(bytes(read_back(plain_frame(close_payload(reason.ws_code, reason.text), CLOSE), False).data))
    assert (close.code, close.reason) == (reason.ws_code, reason.text)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_close_text_is_cut_between_characters(text: str) -> None:
    payload = close_payload(1000, text)
    assert len(payload) <= limits.MAX_CLOSE_REASON_BYTES + 2
    assert text.startswith(payload[2:].decode())
