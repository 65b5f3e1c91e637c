"""What reaches the caller of all that the model does: in the caller's format, without what is cut off or hidden."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace

from relay.audio.convert import Converter
from relay.core.ears import samples_of
from relay.core.playout import Playout
from relay.events import AudioProduced, ResponseFinished
from relay.nouns import AudioFormat, Item

REMEMBERED = 256
"""Ids of muted responses and hidden items that are remembered; events of older ones do not come any more."""


class RecentIds:
    """A set of ids that forgets the oldest."""

    __slots__ = ("_ids",)

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, an_id: str) -> None:
        self._ids[an_id] = None
        if len(self._ids) > REMEMBERED:
            self._ids.popitem(last=False)

    def __contains__(self, an_id: str | None) -> bool:
        return an_id in self._ids


class Delivery:
    """The way to the caller, for one session.

    Args:
        model: what the model gives; None: what the caller asked for, untouched.
        caller: what the caller gets.
        hidden_tools: names of server tools that the caller must not see.
    """

    def __init__(self, model: AudioFormat | None, caller: AudioFormat, hidden_tools: frozenset[str]) -> None:
        self.playout = Playout()
        self.muted = RecentIds()
        """Responses of which nothing more is sent, because the caller interrupted or cancelled them."""
        self.last_item: tuple[str, str] | None = None
        """Response and item of the newest audio."""
        self._hidden_tools = hidden_tools
        self._hidden = RecentIds()
        self._model = model
        self.reconfigure(caller)

    def reconfigure(self, caller: AudioFormat) -> None:
        """The caller wants another format from the next item on."""
        self._caller = caller
        self._bytes_per_ms = caller.bytes_per_second / 1000.0
        source = self._model or caller
        self._convert = None if source == caller else Converter(source, caller)
        self._converting: tuple[str, str] | None = None

    def audio(self, event: AudioProduced, now: float) -> AudioProduced | None:
        """The audio as the caller gets it, entered into the account; None when there is nothing to send. HOT."""
        if event.response_id in self.muted:
            return None
        self.last_item = event.response_id, event.item_id
        audio = event.audio
        if self._convert is not None:
            self._converting = event.response_id, event.item_id
            audio = self._convert.convert(samples_of(audio) or b"")
            if not audio:
                return None
            event = replace(event, audio=audio, raw=None)
        if isinstance(audio, str):
            size = len(audio) * 3 // 4 - (audio.endswith("=") + audio.endswith("=="))
        else:
            size = len(audio)
        self.playout.sent(event.item_id, event.response_id, size / self._bytes_per_ms, now)
        return event

    def tail(self, item_id: str, now: float) -> AudioProduced | None:
        """What the conversion still holds of a finished item."""
        if self._convert is None or self._converting is None or self._converting[1] != item_id:
            return None
        response_id, self._converting = self._converting[0], None
        rest = self._convert.flush()
        if not rest or response_id in self.muted:
            return None
        self.playout.sent(item_id, response_id, len(rest) / self._bytes_per_ms, now)
        return AudioProduced(response_id, item_id, rest)

    def mute(self, response_id: str) -> None:
        """Nothing more of this response is sent but that it ended."""
        self.muted.add(response_id)
        if self._converting is not None and self._converting[0] == response_id and self._convert is not None:
            self._convert.flush()
            self._converting = None

    def hides(self, item: Item) -> bool:
        """Whether an item is a call of a hidden tool, or the output of one."""
        if item.type == "function_call" and item.name in self._hidden_tools:
            self._hidden.add(item.id)
            self._hidden.add(item.call_id or item.id)
            return True
        return item.type == "function_call_output" and item.call_id in self._hidden

    def hides_id(self, item_id: str) -> bool:
        """Whether an item announced earlier is hidden."""
        return item_id in self._hidden

    def without_hidden(self, event: ResponseFinished) -> ResponseFinished:
        """The end of a response, listing only what the caller may see."""
        if not any(self.hides(item) for item in event.output):
            return event
        shown = tuple(item for item in event.output if not self.hides(item))
        return replace(event, output=shown, raw=None)
