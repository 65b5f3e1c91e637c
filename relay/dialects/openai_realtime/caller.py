"""The server's side: what callers send becomes requests, happenings become what callers read (sections 7 to 10)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from relay import limits
from relay.dialects.openai_realtime.items import item_from
from relay.dialects.openai_realtime.responses import options_from
from relay.dialects.openai_realtime.server_events import ServerEvents
from relay.dialects.openai_realtime.shapes import beta, read_changes
from relay.dialects.openai_realtime.wire import (
    Invalid,
    Table,
    anything,
    check_depth,
    choice,
    ident,
    integer,
    loads,
    members,
    nullable,
    request_id_of,
    text,
    wrong,
)
from relay.errors import CloseReason
from relay.events import (
    AudioAppended,
    CancelRequested,
    ClearRequested,
    CommitRequested,
    Event,
    ItemCreateRequested,
    ItemDeleteRequested,
    ItemRetrieveRequested,
    ItemTruncateRequested,
    Rejected,
    ResponseRequested,
    SettingsRequested,
    Unmapped,
)
from relay.nouns import PCM24, Fault

_ID: Final[Table] = {"item_id": ident}
_CUT: Final[Table] = {**_ID, "content_index": integer(0), "audio_end_ms": integer(0)}


def _create(item: Any, request_id: str | None, raw: bytes, previous_item_id: str | None = None) -> Event:
    return ItemCreateRequested(item_from(item), previous_item_id, request_id, raw)


def _clear_playback(request_id: str | None, raw: bytes) -> Event:
    """For WebRTC and SIP: on a WebSocket the client owns the playback buffer, so it has no meaning to us."""
    return Unmapped("output_audio_buffer.clear", "caller", raw)


_EVENTS: Final[Mapping[str, tuple[Callable[..., Event], Table, tuple[str, ...]]]] = {
    "input_audio_buffer.append": (AudioAppended, {"audio": text}, ("audio",)),
    "input_audio_buffer.commit": (CommitRequested, {}, ()),
    "input_audio_buffer.clear": (ClearRequested, {}, ()),
    "output_audio_buffer.clear": (_clear_playback, {}, ()),
    "conversation.item.create": (_create, {"item": anything, "previous_item_id": nullable(ident)}, ("item",)),
    "conversation.item.retrieve": (ItemRetrieveRequested, _ID, ("item_id",)),
    "conversation.item.truncate": (ItemTruncateRequested, _CUT, tuple(_CUT)),
    "conversation.item.delete": (ItemDeleteRequested, _ID, ("item_id",)),
    "response.cancel": (CancelRequested, {"response_id": nullable(ident)}, ()),
    "response.create": (ResponseRequested, {"response": anything}, ()),
    "session.update": (SettingsRequested, {"session": anything}, ("session",)),
}
"""Section 7. Type of a client event to: what makes our event of its members, what they may be, which must be there."""


class OpenAICaller:
    """The server's side of one session.

    Args:
        session_id: `sess_…` shown until the session names its own.
        passthrough: the model speaks this dialect too, so its frames may go to the caller as they came. Events that
            the relay itself makes have no `raw` and are written here.
    """

    name = "openai_realtime"
    waits_for_settings = False

    def __init__(self, session_id: str = "", passthrough: bool = False) -> None:
        self._events = ServerEvents(session_id, passthrough)
        self._asked_format = PCM24

    def decode(self, frame: bytes, *, binary: bool = False) -> list[Event]:
        """What the caller said: one request, or one `Rejected`. Never raises.

        The base64 of appended audio is not looked at: whoever needs the samples decodes it.
        """
        request_id = None
        try:
            if binary:
                raise Invalid("invalid_event", "This protocol has text frames only.")
            message = loads(frame)
            # HOT: fifty a second from every caller, and nearly always these two members.
            if len(message) == 2 and message.get("type") == "input_audio_buffer.append":
                audio = message.get("audio")
                if type(audio) is str and len(audio) <= limits.MAX_APPEND_CHARS:
                    return [AudioAppended(audio, None, frame)]
            check_depth(message)
            request_id = request_id_of(message)
            return [self._request(message, request_id, frame)]
        except Invalid as problem:
            return [Rejected(problem.fault(request_id))]

    def _request(self, message: dict[str, Any], request_id: str | None, raw: bytes) -> Event:
        if "type" not in message:
            raise Invalid("invalid_event", "Missing required parameter: 'type'.", "type")
        kind = message["type"]
        if kind == "transcription_session.update":
            raise beta("type")
        build, table, required = _EVENTS[choice(*_EVENTS)(kind, "type")]
        read = members(message, "", {"type": text, "event_id": nullable(ident), **table}, required)
        del read["type"]
        read.pop("event_id", None)
        if kind == "session.update":
            read = {"changes": self._changes(read["session"])}
        elif kind == "response.create":
            formats = (self._asked_format, self._events.settings.output_format)
            read = {"options": options_from(read.get("response"), "response", formats)}
        elif len(read.get("audio", "")) > limits.MAX_APPEND_CHARS:
            raise wrong("audio", "more than 15 MiB")
        return build(**read, request_id=request_id, raw=raw)

    def _changes(self, session: Any) -> dict[str, Any]:
        changes = read_changes(session)
        self._asked_format = changes.get("output_format", self._asked_format)
        if "tools" in changes and self._events.settings.extra.get("tools"):
            # A list of tools replaces the former one, so also those of its tools that we only carry.
            changes["extra"] = {"tools": None, **changes.get("extra", {})}
        return changes

    def encode(self, event: Event) -> list[bytes]:
        """How to say it to the caller; an event without a counterpart gives an empty list."""
        return self._events.encode(event)

    def farewell(self, reason: CloseReason, detail: str = "") -> list[bytes]:
        """An `error` event that says why, before the socket is closed; nothing where nobody is left to read it."""
        if reason in _SILENT:
            return []
        kind = "server_error" if reason.retryable or reason.http_status >= 500 else "invalid_request_error"
        kind, code = _FAREWELLS.get(reason, (kind, reason.code))
        return self._events.error(Fault(kind, code, detail or reason.text))


_SILENT: Final = (CloseReason.DONE, CloseReason.CALLER_LEFT, CloseReason.CALLER_STALLED)
_FAREWELLS: Final = {
    CloseReason.MAX_DURATION: ("invalid_request_error", "session_expired"),
    CloseReason.UNKNOWN_MODEL: ("invalid_request_error", "model_not_found"),
    CloseReason.UNAUTHENTICATED: ("authentication_error", "invalid_api_key"),
    CloseReason.REVOKED: ("authentication_error", "invalid_api_key"),
    CloseReason.BETA_SHAPE: ("invalid_request_error", "beta_api_shape_disabled"),
    CloseReason.TOO_FAST: ("rate_limit_error", "rate_limit_exceeded"),
}
"""Reasons for which section 12.2 has a code."""
