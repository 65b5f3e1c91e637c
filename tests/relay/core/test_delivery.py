"""What reaches the caller: in its format, counted, and nothing that is cut or hidden."""

from __future__ import annotations

import base64

from relay.core.delivery import REMEMBERED, Delivery, RecentIds
from relay.events import AudioProduced, ResponseFinished
from relay.nouns import PCM16K, PCM24, AudioFormat, Item

ESPEAK = AudioFormat("pcm16", 22_050)


def audio(data: str | bytes, item: str = "i1", response: str = "r1") -> AudioProduced:
    return AudioProduced(response, item, data, raw=b"as it came")


def test_equal_formats_the_very_event_is_sent_and_counted() -> None:
    delivery = Delivery(None, PCM24, frozenset())
    payloads = (b"\0" * 4800, base64.b64encode(b"\0" * 4800).decode(), base64.b64encode(b"\0" * 4798).decode())
    for n, payload in enumerate(payloads):
        event = audio(payload, item=str(n))
        assert delivery.audio(event, 0.0) is event
        assert abs(delivery.playout.sent_ms(event.item_id) - 100.0) < 0.1


def test_other_format_is_converted_whole_with_its_tail() -> None:
    delivery = Delivery(ESPEAK, PCM24, frozenset())
    sent = [delivery.audio(audio(b"\1\0" * 2205), 0.0) for _ in range(10)]
    tail = delivery.tail("i1", 0.0)
    size = sum(len(event.audio) for event in sent if event) + (len(tail.audio) if tail else 0)
    assert abs(size - 48_000) <= 4, "one second at 24 kHz"
    assert round(delivery.playout.sent_ms("i1")) == 1000
    assert all(event.raw is None for event in sent if event)
    assert delivery.tail("i1", 0.0) is None, "only once"


def test_muted_response_is_dropped_and_leaves_nothing_in_the_converter() -> None:
    delivery = Delivery(ESPEAK, PCM24, frozenset())
    delivery.audio(audio(b"\1\0" * 2205), 0.0)
    delivery.mute("r1")
    assert delivery.audio(audio(b"\1\0" * 2205), 0.0) is None
    assert delivery.tail("i1", 0.0) is None


def test_hidden_tool_and_its_output_are_not_shown() -> None:
    delivery = Delivery(None, PCM16K, frozenset({"secret"}))
    call = Item("f1", "function_call", call_id="c1", name="secret", arguments="{}")
    assert delivery.hides(call)
    assert delivery.hides_id("f1")
    assert delivery.hides(Item("o1", "function_call_output", call_id="c1", output="x"))
    assert not delivery.hides(Item("o2", "function_call_output", call_id="c2", output="x"))
    assert not delivery.hides(Item("m", "message", "assistant"))


def test_end_of_a_response_lists_only_what_is_shown() -> None:
    delivery = Delivery(None, PCM16K, frozenset({"secret"}))
    items = (Item("m", "message", "assistant"), Item("f", "function_call", call_id="c", name="secret"))
    event = delivery.without_hidden(ResponseFinished("r", "completed", output=items, raw=b"{}"))
    assert [item.id for item in event.output] == ["m"]
    assert event.raw is None
    plain = ResponseFinished("r", "completed", output=items[:1], raw=b"{}")
    assert delivery.without_hidden(plain) is plain


def test_recent_ids_are_bounded_oldest_first() -> None:
    ids = RecentIds()
    for n in range(REMEMBERED + 1):
        ids.add(str(n))
    assert "0" not in ids
    assert "1" in ids
