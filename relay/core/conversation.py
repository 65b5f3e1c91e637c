"""The items of one conversation, in order, and what is known about the audio of each."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from relay import limits
from relay.nouns import Item, Part, SpokenWord


@dataclass(slots=True)
class Entry:
    """One item, and what a truncation needs to know of it."""

    item: Item
    words: list[SpokenWord] = field(default_factory=list)
    """Of a spoken answer: its words by position in the item's audio."""
    audio_ms: float = 0.0
    """Of a spoken answer: how long it is so far."""
    heard_ms: float | None = None
    """Where it was truncated."""
    audio: bytearray = field(default_factory=bytearray)
    """Of a caller's turn: the samples, while it is among the newest."""

    @property
    def size_bytes(self) -> int:
        """Roughly what the item takes without its audio."""
        item = self.item
        own = len(item.arguments or "") + len(item.output or "") + (len(str(item.extra)) if item.extra else 0)
        parts = (len(part.text or "") + (len(str(part.extra)) if part.extra else 0) for part in item.content)
        return own + sum(parts)

    def heard_text(self, heard_ms: float) -> str:
        """The words of which more than half was heard by a position."""
        heard = []
        for index, word in enumerate(self.words):
            end_ms = self.words[index + 1].start_ms if index + 1 < len(self.words) else self.audio_ms
            if (word.start_ms + end_ms) / 2 > heard_ms:
                break
            heard.append(word.text)
        return "".join(heard)


class Conversation:
    """An ordered list of items with ids; bounded in number and bytes by `limits`, the oldest go first."""

    def __init__(self) -> None:
        self._bytes = 0
        """What the items took when they were added."""
        self._sizes: dict[str, int] = {}
        self._entries: dict[str, Entry] = {}
        self._order: list[str] = []

    def __contains__(self, item_id: str) -> bool:
        return item_id in self._entries

    def get(self, item_id: str) -> Entry | None:
        return self._entries.get(item_id)

    def add(self, entry: Entry, after_id: str | None = None) -> str | None:
        """Put an item in its place (see `ItemCreateRequested.after_id`). Returns the id of the one before it."""
        if after_id == "root":
            index = 0
        elif after_id is None:
            index = len(self._order)
        else:
            index = self._order.index(after_id) + 1
        self._order.insert(index, entry.item.id)
        self._entries[entry.item.id] = entry
        previous = self._order[index - 1] if index else None
        self._sizes[entry.item.id] = entry.size_bytes
        self._bytes += entry.size_bytes
        while len(self._order) > limits.MAX_ITEMS or (
            self._bytes > limits.MAX_CONVERSATION_BYTES and len(self._order) > 1
        ):
            self.remove(self._order[0])
        self._forget_audio()
        return previous

    def remove(self, item_id: str) -> bool:
        if self._entries.pop(item_id, None) is None:
            return False
        self._order.remove(item_id)
        self._bytes -= self._sizes.pop(item_id)
        return True

    def items(self) -> tuple[Item, ...]:
        """All finished items in order, without audio."""
        items = (self._entries[item_id].item for item_id in self._order)
        return tuple(item for item in items if item.status != "in_progress")

    def _forget_audio(self) -> None:
        """Only the newest turns keep their samples."""
        kept = 0
        for item_id in reversed(self._order):
            entry = self._entries[item_id]
            if entry.audio:
                kept += 1
                if kept > limits.KEPT_AUDIO_ITEMS:
                    entry.audio = bytearray()


def with_text(item: Item, text: str) -> Item:
    """The item with the text of its first part replaced."""
    part = item.content[0] if item.content else Part("output_audio")
    return replace(item, content=(replace(part, text=text), *item.content[1:]))
