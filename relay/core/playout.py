"""What the caller has heard: the account of what was sent, when it must have been played, and what was reported.

A caller on a plain socket plays what it gets, one item after the other, in real time; audio that comes faster waits in
its player. So an item has been heard up to what was sent of it, less what still waits. A caller that reports its
own position (a truncation, a mark) is believed, but never beyond what it was sent.
"""

from __future__ import annotations

from collections import OrderedDict

TRACKS = 64
"""Items whose account is kept; older ones were heard long ago."""


class Track:
    """One spoken item."""

    __slots__ = ("ends_at", "reported_ms", "response_id", "sent_ms")

    def __init__(self, response_id: str) -> None:
        self.response_id = response_id
        self.sent_ms = 0.0
        self.ends_at = 0.0
        """When the last of it will have been played, in seconds of `now`."""
        self.reported_ms: float | None = None


class Playout:
    """The account of one session. Times are seconds of the session's clock, positions milliseconds of audio."""

    __slots__ = ("_tracks", "ends_at")

    def __init__(self) -> None:
        self._tracks: OrderedDict[str, Track] = OrderedDict()
        self.ends_at = 0.0
        """When everything sent so far will have been played."""

    def sent(self, item_id: str, response_id: str, duration_ms: float, now: float) -> None:
        """Audio of an item went to the caller. HOT: once a frame."""
        track = self._tracks.get(item_id)
        if track is None:
            track = self._tracks[item_id] = Track(response_id)
            if len(self._tracks) > TRACKS:
                self._tracks.popitem(last=False)
        track.sent_ms += duration_ms
        start = self.ends_at if self.ends_at > now else now
        self.ends_at = track.ends_at = start + duration_ms / 1000.0

    def sent_ms(self, item_id: str) -> float:
        """Audio of this item that the caller got; 0 for an unknown item."""
        track = self._tracks.get(item_id)
        return track.sent_ms if track else 0.0

    def heard_ms(self, item_id: str, now: float) -> float:
        """How much of an item has been heard: 0 <= heard <= sent, whatever was reported."""
        track = self._tracks.get(item_id)
        if track is None:
            return 0.0
        if track.reported_ms is not None:
            return min(track.reported_ms, track.sent_ms)
        waiting_ms = max(0.0, (track.ends_at - now) * 1000.0)
        return max(0.0, track.sent_ms - waiting_ms)

    def report(self, item_id: str, heard_ms: float, now: float) -> None:
        """The caller says how much of an item it played before it stopped."""
        track = self._tracks.get(item_id)
        if track is not None:
            track.reported_ms = min(max(0.0, heard_ms), track.sent_ms)
            track.ends_at = min(track.ends_at, now)
            self.ends_at = max(each.ends_at for each in self._tracks.values())

    def playing(self, now: float) -> list[tuple[str, float]]:
        """Items of which something is still to be heard, oldest first, with what was heard of each."""
        if self.ends_at <= now:
            return []
        playing = (item_id for item_id, track in self._tracks.items() if track.ends_at > now)
        return [(item_id, self.heard_ms(item_id, now)) for item_id in playing]

    def flush(self, now: float) -> None:
        """The caller's player was emptied: what was not heard by now never will be."""
        for item_id, track in self._tracks.items():
            if track.ends_at > now:
                track.reported_ms = self.heard_ms(item_id, now)
                track.ends_at = now
        self.ends_at = min(self.ends_at, now)

    def lead_ms(self, now: float) -> float:
        """How far the caller's player is ahead of what it plays."""
        return max(0.0, (self.ends_at - now) * 1000.0)
