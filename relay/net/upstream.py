"""The model's leg over a WebSocket: dialling, and reading while the caller keeps up."""

from __future__ import annotations

import asyncio
from typing import Literal

import aiohttp
from aiohttp.http_websocket import WSMessageTextBytes

from relay import limits
from relay.dialects.base import Binary, ModelDialect
from relay.errors import ModelError
from relay.events import AudioAppended, Event, LegClosed
from relay.net.outbox import MODEL_BOUNDS, Outbox
from relay.net.parts import Sink
from relay.net.tasks import spawn
from relay.net.wire import BINARY, TEXT, Wire
from relay.nouns import AudioFormat
from relay.providers.base import Target

Socket = aiohttp.ClientWebSocketResponse[Literal[False]]
Message = aiohttp.WSMessage | WSMessageTextBytes

def client_session() -> aiohttp.ClientSession:
    """The pool that all dials of one process share. Must be made inside the running loop."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=60),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        auto_decompress=False,
    )


async def dial(pool: aiohttp.ClientSession, target: Target) -> tuple[Socket, Message]:
    """Open a model's socket and wait for the first thing it says.

    Returns the socket and that message (text as bytes). Takes limits.DIAL_DEADLINE_S for name, connection, TLS and
    upgrade together, and limits.FIRST_EVENT_DEADLINE_S for the message.

    Raises:
        ModelError: the reason in words that may go to the caller; nothing is left open.
    """
    try:
        async with asyncio.timeout(limits.DIAL_DEADLINE_S):
            socket = await pool.ws_connect(
                target.url, headers=dict(target.headers), compress=0, heartbeat=limits.HEARTBEAT_S,
                max_msg_size=limits.MAX_MODEL_MESSAGE_BYTES, decode_text=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=limits.MODEL_GOODBYE_S),
            )
    except aiohttp.WSServerHandshakeError as error:
        raise refusal(error.status) from None
    except TimeoutError:
        raise ModelError("The model did not answer in time.", retryable=True, code="model_timeout") from None
    except aiohttp.ClientConnectorCertificateError:
        raise ModelError("The model's certificate is not valid.", retryable=False, code="tls") from None
    except (aiohttp.ClientError, OSError, ValueError):
        raise ModelError("The model could not be reached.", retryable=True) from None
    try:
        async with asyncio.timeout(limits.FIRST_EVENT_DEADLINE_S):
            first = await socket.receive()
    except TimeoutError:
        await hang_up(socket)
        raise ModelError("The model opened no session in time.", retryable=True, code="model_timeout") from None
    except asyncio.CancelledError:  # the caller left; the bye must not be cancelled with us
        spawn(hang_up(socket), name="hang up")
        raise
    if first.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
        await hang_up(socket)
        raise ModelError("The model closed the connection at once.", retryable=True)
    return socket, first


def refusal(status: int) -> ModelError:
    """What an HTTP status in place of the upgrade means; 4xx is final, except for those that say "later"."""
    if status in (401, 403):
        return ModelError("The model refused the relay's credential.", retryable=False, code="model_unauthorized")
    if status == 404:
        return ModelError("The provider does not have this model.", retryable=False, code="model_not_found")
    if status == 429:
        return ModelError("The provider's rate limit is reached.", retryable=True, code="rate_limit_exceeded")
    return ModelError("The model refused the connection.", retryable=status in (408, 425) or status >= 500)


async def hang_up(socket: Socket) -> None:
    """Close within limits.MODEL_GOODBYE_S, politely if the model plays along."""
    writer = socket._writer
    try:
        async with asyncio.timeout(limits.MODEL_GOODBYE_S):
            await socket.close()
    except (TimeoutError, ConnectionError):
        pass
    finally:
        writer.transport.abort()


class SocketLeg:
    """A model at the other end of an open socket.

    Args:
        socket: from `dial`.
        dialect: what it speaks.
        first: from `dial`.
        sink: is given every event, and at the end one `LegClosed`.
        same: the caller speaks this dialect too: audio may pass as the bytes it came in.
    """

    def __init__(
        self, socket: Socket, first: Message, dialect: ModelDialect, sink: Sink, *, same: bool = False
    ) -> None:
        self.audio_format = AudioFormat()
        """What the model is sent, for the bound on how much may wait; the call follows it."""
        self._socket = socket
        self._first = first
        self._encode = dialect.encode
        self._decode = dialect.decode
        self._sink = sink
        self._same = same
        self._wire = Wire(socket)
        self.outbox = Outbox(self._wire, MODEL_BOUNDS)
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._reader: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Take the message that `dial` has read, then read on."""
        self._reader = spawn(self._read(self._first), name="model leg")

    def send(self, event: Event) -> None:
        """Say it to the model."""
        if type(event) is AudioAppended:
            audio = event.audio
            size = len(audio) * 3 // 4 if type(audio) is str else len(audio)
            audio_ms = size * 1000 / self.audio_format.bytes_per_second
            if self._same and event.raw is not None:
                self.outbox.send(event.raw, audio_ms=audio_ms)
                return
        else:
            audio_ms = 0.0
        for frame in self._encode(event):
            self.outbox.send(frame, opcode=BINARY if type(frame) is Binary else TEXT, audio_ms=audio_ms)

    def pause(self, paused: bool) -> None:
        """Stop or resume reading: the caller does not keep up."""
        if paused:
            self._may_read.clear()
        else:
            self._may_read.set()

    def look(self, now: float) -> None:
        """End a leg whose model takes nothing any more."""
        if self.outbox.look(now) or self.outbox.overrun:
            self._wire.abort()

    def close(self) -> None:
        """Release everything within limits.MODEL_GOODBYE_S. No event comes any more."""
        self._sink = _nobody
        self.outbox.close()
        if self._reader is not None:
            self._reader.cancel()
        spawn(hang_up(self._socket), name="hang up")

    async def _read(self, message: Message) -> None:
        receive, decode = self._socket.receive, self._decode
        text, binary = aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY
        code = 1011
        try:
            while True:
                if message.type is text:
                    for event in decode(message.data):
                        self._sink(event)
                elif message.type is binary:
                    for event in decode(message.data, binary=True):
                        self._sink(event)
                else:
                    code = close_code(message, self._socket.close_code)
                    return
                if not self._may_read.is_set():
                    await self._may_read.wait()
                message = await receive()
        finally:
            self._sink(LegClosed("model", code))


def close_code(message: Message, known: int | None) -> int:
    """With which code a socket ended, by the last message that was read of it: 1005 for a close frame without a code,
    1006 for none at all (RFC 6455 section 7.1.5)."""
    if message.type is aiohttp.WSMsgType.CLOSE:
        return int(message.data) or 1005
    if message.type is aiohttp.WSMsgType.ERROR and known is not None:
        return known
    return 1006


def _nobody(event: Event) -> None:
    """Where events of a closed leg go."""
