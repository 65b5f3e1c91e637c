"""Two names for one item: the one that the relay announced, and the one that the model gave.

When the relay detects turns in front of a model that is not ours, it announces `speech_started` with an item id before
the model knows of the turn; the model then commits the audio under an id of its own. The caller only ever sees the
announced one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import Any, TypeVar

from relay.events import AudioCommitted, Event

T = TypeVar("T", bound=Event)

KEPT = 512
"""Pairs that are remembered."""


class Aliases:
    """The pairs of one session.

    Args:
        needed: False: ids are the same on both sides, and every method gives back what it got.
    """

    def __init__(self, needed: bool) -> None:
        self._needed = needed
        self._announced: OrderedDict[str, str] = OrderedDict()
        """The model's id to ours."""
        self._given: OrderedDict[str, str] = OrderedDict()
        """Ours to the model's."""

    def committed(self, event: AudioCommitted, announced: str) -> AudioCommitted:
        """The model committed a turn; if the relay announced it, that is its name from now on."""
        if self._needed and announced and event.item_id != announced and announced not in self._given:
            self._announced[event.item_id] = announced
            self._given[announced] = event.item_id
            if len(self._given) > KEPT:
                self._given.popitem(last=False)
                self._announced.popitem(last=False)
        return self.to_caller(event)

    def to_caller(self, event: T) -> T:
        """The event with the announced ids."""
        return _renamed(event, self._announced) if self._announced else event

    def to_model(self, event: T) -> T:
        """The event with the model's ids."""
        return _renamed(event, self._given) if self._given else event


def _renamed(event: Any, names: OrderedDict[str, str]) -> Any:
    changes: dict[str, Any] = {}
    for member in ("item_id", "previous_item_id", "after_id"):
        found = names.get(getattr(event, member, None) or "")
        if found:
            changes[member] = found
    item = getattr(event, "item", None)
    if item is not None and item.id in names:
        changes["item"] = replace(item, id=names[item.id])
    options = getattr(event, "options", None)
    if options is not None and options.input:
        items = tuple(replace(each, id=names.get(each.id, each.id)) for each in options.input)
        if items != options.input:
            changes["options"] = replace(options, input=items)
    return replace(event, **changes, raw=None) if changes else event
