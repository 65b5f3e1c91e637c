"""The realtime dialect of AI SDK 7 (`experimental_useRealtime`, the gateway provider): normalized events as JSON text.

The source of the facts is the client itself: `@ai-sdk/provider` 4.0.38 `realtime-model-v4-*.ts` names the events,
`ai` 7.0.173 `realtime/` (event reducer, audio, session) decides what the server must keep to. The same events are
spoken in the hook's relay mode, `api: {websocket: URL}`. There is no schema validation in that client: what breaks
it is said where we prevent it.

    requests.py    what callers send -> our requests; `config.py` reads their settings, `fields.py` checks members
    happenings.py  our happenings -> what callers read
    bodies.py      JSON bodies of the HTTP doors next to the socket: errors, the model catalogue
"""

from __future__ import annotations

from relay.dialects.ai_gateway.bodies import gateway_error, model_entry
from relay.dialects.ai_gateway.happenings import HappeningWriter, last_words
from relay.dialects.ai_gateway.requests import RequestReader
from relay.errors import CloseReason
from relay.events import Event, SessionOpened, SettingsApplied
from relay.nouns import Settings

__all__ = ["GatewayCaller", "gateway_error", "model_entry"]


class GatewayCaller:
    """The server's side of one AI SDK realtime conversation; a `CallerDialect`.

    Args:
        settings: what the session starts from; settings that a caller gives in part are laid over it.
    """

    name = "ai_gateway"
    waits_for_settings = True

    def __init__(self, settings: Settings | None = None) -> None:
        self._reader = RequestReader(settings or Settings())
        self._writer = HappeningWriter()

    def decode(self, frame: bytes, *, binary: bool = False) -> list[Event]:
        """What the caller said. Never raises. Cost: 1 µs beyond parsing for a frame of speech."""
        return self._reader.decode(frame, binary=binary)

    def encode(self, event: Event) -> list[bytes]:
        """How to say it to the caller; an event without a counterpart gives an empty list."""
        if type(event) is SettingsApplied or type(event) is SessionOpened:
            self._reader.settings = event.settings
        return self._writer.encode(event)

    def farewell(self, reason: CloseReason, detail: str = "") -> list[bytes]:
        """An `error` event that says why, except where the end is no fault: a browser shows close codes to nobody."""
        return last_words(reason, detail)
