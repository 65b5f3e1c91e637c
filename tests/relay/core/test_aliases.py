from __future__ import annotations

from relay.core.aliases import KEPT, Aliases
from relay.events import AudioCommitted, ItemAdded, ItemDeleteRequested, ItemRetrieveRequested
from relay.nouns import Item


def test_announced_id_is_what_the_caller_sees_and_the_model_sees_its_own() -> None:
    names = Aliases(needed=True)
    assert names.committed(AudioCommitted("model_1", raw=b"{}"), "ours_1") == AudioCommitted("ours_1")
    added = names.to_caller(ItemAdded(Item("model_1", "message"), raw=b"{}"))
    assert (added.item.id, added.raw) == ("ours_1", None)
    assert names.to_model(ItemDeleteRequested("ours_1")).item_id == "model_1"


def test_previous_item_is_renamed_too() -> None:
    names = Aliases(needed=True)
    names.committed(AudioCommitted("model_1"), "ours_1")
    assert names.committed(AudioCommitted("model_2", "model_1"), "ours_2") == AudioCommitted("ours_2", "ours_1")


def test_other_items_pass_untouched() -> None:
    names = Aliases(needed=True)
    names.committed(AudioCommitted("model_1"), "ours_1")
    event = ItemRetrieveRequested("other", raw=b"{}")
    assert names.to_model(event) is event


def test_turn_that_was_not_announced_keeps_its_id() -> None:
    names = Aliases(needed=True)
    names.committed(AudioCommitted("model_1"), "ours_1")
    assert names.committed(AudioCommitted("model_2"), "ours_1").item_id == "model_2", "that name is taken"


def test_not_needed_nothing_is_renamed() -> None:
    event = AudioCommitted("model_1")
    assert Aliases(needed=False).committed(event, "ours_1") is event


def test_pairs_are_bounded() -> None:
    names = Aliases(needed=True)
    for n in range(KEPT + 1):
        names.committed(AudioCommitted(f"m{n}"), f"o{n}")
    assert names.to_model(ItemDeleteRequested("o0")).item_id == "o0"
    assert names.to_model(ItemDeleteRequested("o1")).item_id == "m1"
