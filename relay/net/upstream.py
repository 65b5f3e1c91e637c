"""The model's leg over a WebSocket: dialling, and reading while the caller keeps up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiohttp

from relay import limits
from relay.dialects.base import Binary, ModelDialect
from relay.errors import ModelError
from relay.events import AudioAppended, Event, LegClosed, SessionOpened
from relay.net.line import Line
from relay.net.outbox import MODEL_BOUNDS, Outbox
from relay.net.parts import Sink
from relay.net.wire import BINARY, TEXT
from relay.nouns import AudioFormat
from relay.providers.base import Target


def client_session() -> aiohttp.ClientSession:
    """The pool that all dials of one process share. Must be made inside the running loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )


async def dial(pool: aiohttp.ClientSession, target: Target) -> Line:
    """Open a model's socket, within limits.DIAL_DEADLINE_S for name, connection, TLS and upgrade together.

    Raises:
        ModelError: the reason in words that may go to the caller; nothing is left open.
    """
    try:
        async with asyncio.timeout(limits.DIAL_DEADLINE_S):
            socket = await pool.ws_connect(
                target.url, headers=dict(target.headers), compress=0, decode_text=False,
                max_msg_size=limits.MAX_MODEL_MESSAGE_BYTES,
            )
            return Line(socket)
    except aiohttp.WSServerHandshakeError as error:
        raise refusal(error.status) from None
    except TimeoutError:
        raise ModelError("The model did not answer in time.", retryable=True, code="model_timeout") from None
    except aiohttp.ClientConnectorCertificateError:
        raise ModelError("The model's certificate is not valid.", retryable=False, code="tls") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise ModelError("The model could not be reached.", retryable=True) from None


def refusal(status: int) -> ModelError:
    """What an HTTP status in place of the upgrade means; 4xx is final, except for those that say "later"."""
    if status in (401, 403):
        return ModelError("The model refused the relay's credential.", retryable=False, code="model_unauthorized")
    if status == 404:
        return ModelError("The provider does not have this model.", retryable=False, code="model_not_found")
    if status == 429:
        return ModelError("The provider's rate limit is reached.", retryable=True, code="rate_limit_exceeded")
    return ModelError("The model refused the connection.", retryable=status in (408, 425) or status >= 500)


class SocketLeg:
    """A model at the other end of an open socket.

    Args:
        line: from `dial`.
        dialect: what it speaks.
        sink: is given every event, and at the end one `LegClosed`.
        same: the caller speaks this dialect too: audio may pass as the bytes it came in.
        on_full: told when the model does not keep up with what is sent to it, and when it does again.
    """

    def __init__(
        self, line: Line, dialect: ModelDialect, sink: Sink, *, same: bool = False,
        on_full: Callable[[bool], None] = lambda full: None,
    ) -> None:
        self.audio_format = AudioFormat()
        """What the model is sent, for the bound on how much may wait; the call follows it."""
        self._line = line
        self._encode = dialect.encode
        self._decode = dialect.decode
        self._sink = sink
        self._same = same
        self.outbox = Outbox(line, MODEL_BOUNDS, on_full)
        self._first_due: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Read from now on; a model that has not opened its session after limits.FIRST_EVENT_DEADLINE_S is given up."""
        self._first_due = asyncio.get_running_loop().call_later(limits.FIRST_EVENT_DEADLINE_S, self._line.abort)
        self._line.start(self._said, lambda code: self._sink(LegClosed("model", code)))

    def send(self, event: Event) -> None:
        """Say it to the model."""
        audio_ms = 0.0
        if type(event) is AudioAppended:
            audio = event.audio
            size = len(audio) * 0.75 if type(audio) is str else len(audio)
            audio_ms = size * 1000 / self.audio_format.bytes_per_second
            if self._same and event.raw is not None:
                self.outbox.send(event.raw, audio_ms=audio_ms)
                return
        for frame in self._encode(event):
            self.outbox.send(frame, opcode=BINARY if type(frame) is Binary else TEXT, audio_ms=audio_ms)

    def pause(self, paused: bool) -> None:
        """Stop or resume reading: the caller does not keep up."""
        self._line.pause(paused)

    def look(self, now: float) -> None:
        """End a leg whose model takes nothing any more, or has vanished."""
        self._line.beat(now)
        if self.outbox.look(now):
            self._line.abort()

    def close(self) -> None:
        """Release everything within limits.MODEL_GOODBYE_S. No event comes any more."""
        self._sink = _nobody
        self._opened()
        self.outbox.close()
        self._line.close(1000, "", limits.MODEL_GOODBYE_S)

    def _said(self, frame: bytes, binary: bool) -> None:
        for event in self._decode(frame, binary=binary):
            if self._first_due is not None and type(event) is SessionOpened:
                self._opened()
            self._sink(event)

    def _opened(self) -> None:
        if self._first_due is not None:
            self._first_due.cancel()
            self._first_due = None


def _nobody(event: Event) -> None:
    """Where events of a closed leg go."""
