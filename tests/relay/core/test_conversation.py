from __future__ import annotations

from relay import limits
from relay.core.conversation import Conversation, Entry, with_text
from relay.nouns import Item, Part, SpokenWord


def entry(item_id: str, audio: bytes = b"") -> Entry:
    return Entry(Item(item_id, "message", "user", content=(Part("input_text", item_id),)), audio=bytearray(audio))


def ids(conversation: Conversation) -> list[str]:
    return [item.id for item in conversation.items()]


def test_items_stand_where_they_were_put() -> None:
    talk = Conversation()
    assert talk.add(entry("a")) is None
    assert talk.add(entry("c")) == "a"
    assert talk.add(entry("b"), "a") == "a"
    assert talk.add(entry("first"), "root") is None
    assert ids(talk) == ["first", "a", "b", "c"]


def test_removed_item_is_gone_and_an_unknown_one_is_said_to_be() -> None:
    talk = Conversation()
    talk.add(entry("a"))
    assert talk.remove("a")
    assert not talk.remove("a")
    assert "a" not in talk


def test_conversation_is_bounded_oldest_first() -> None:
    talk = Conversation()
    for n in range(limits.MAX_ITEMS + 3):
        talk.add(entry(str(n)))
    assert len(ids(talk)) == limits.MAX_ITEMS
    assert ids(talk)[0] == "3"


def test_conversation_is_bounded_in_bytes_too_and_the_newest_item_always_fits() -> None:
    talk = Conversation()
    for name in "abc":
        text = name * (limits.MAX_CONVERSATION_BYTES // 2 - 100)
        talk.add(Entry(Item(name, "message", "user", content=(Part("input_text", text),))))
    assert ids(talk) == ["b", "c"]
    huge = "x" * (limits.MAX_CONVERSATION_BYTES + 1)
    talk.add(Entry(Item("huge", "message", "user", content=(Part("input_text", huge),))))
    assert ids(talk) == ["huge"]
    talk.remove("huge")
    talk.add(entry("small"))
    assert ids(talk) == ["small"]


def test_only_the_newest_turns_keep_their_audio() -> None:
    talk = Conversation()
    for n in range(limits.KEPT_AUDIO_ITEMS + 2):
        talk.add(entry(str(n), b"\0\0"))
    kept = [n for n in range(limits.KEPT_AUDIO_ITEMS + 2) if talk.get(str(n)).audio]  # type: ignore[union-attr]
    assert kept == list(range(2, limits.KEPT_AUDIO_ITEMS + 2))


def test_word_counts_as_heard_when_more_than_half_of_it_was() -> None:
    spoken = entry("a")
    spoken.words = [SpokenWord("one ", 0.0), SpokenWord("two ", 400.0), SpokenWord("three", 800.0)]
    spoken.audio_ms = 1400.0
    assert spoken.heard_text(0) == ""
    assert spoken.heard_text(199) == ""
    assert spoken.heard_text(200) == "one "
    assert spoken.heard_text(1099) == "one two "
    assert spoken.heard_text(1400) == "one two three"


def test_with_text_replaces_the_first_part_only() -> None:
    item = Item("a", "message", content=(Part("output_audio", "long"), Part("output_text", "kept")))
    assert [part.text for part in with_text(item, "cut").content] == ["cut", "kept"]
