"""`relay talk`: a conversation in the terminal, over the OpenAI Realtime protocol."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import aiohttp
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text
from yarl import URL

from relay import limits
from relay.cli.conversation import Conversation, Frame, Line, opening, parse
from relay.cli.sound import (
    BLOCK_BYTES,
    BLOCK_MS,
    DeviceSpeaker,
    FileSpeaker,
    Playback,
    Speaker,
    from_file,
    from_microphone,
    read_wav,
    silence,
)
from relay.errors import RelayError
from relay.net.tasks import spawn

SETTLE_S = 1.5
"""After the input: as long as nobody speaks and no answer is owed for this long, the conversation is over. Longer than
the silence that a server waits for before a turn ends."""

STYLES = {"you": "cyan", "agent": "green", "tool": "magenta", "note": "dim", "error": "red"}


def talk(
    url: Annotated[str, typer.Argument(help="Where the relay is.")] = "ws://127.0.0.1:8080",
    model: Annotated[str, typer.Option(help="A model or an agent (agent/NAME).")] = "local/agent",
    key: Annotated[str, typer.Option(envvar=["RELAY_KEY", "RELAY_DEV_KEY"], help="API key or token.")] = "",
    input: Annotated[Path | None, typer.Option(help="Speak this WAV file instead of the microphone.")] = None,
    output: Annotated[Path | None, typer.Option(help="Write what is heard to this WAV file.")] = None,
    text: Annotated[str | None, typer.Option(help="Type this first.")] = None,
    wait: Annotated[float, typer.Option(help="Seconds to wait for an answer.")] = 30.0,
) -> None:
    """Talk to a model or an agent: with microphone and speaker, with WAV files, or with typed words.

    Ends when the answer to a file or to typed words is over; a conversation by microphone ends with Ctrl-C.
    """
    pcm = read_wav(input) if input else None
    by_hand = pcm is None and text is None
    speaker: Speaker = FileSpeaker(output) if output or not by_hand else DeviceSpeaker()
    console = Console(highlight=False)
    call = Call(
        address=address(url, model), key=key, microphone=source(pcm, text), speaker=speaker, text=text, wait_s=wait,
        ends=not by_hand, console=console,
    )
    if by_hand:
        console.print("Speak; Ctrl-C ends the conversation.", style="dim")
    try:
        answered = asyncio.run(call.run())
    except KeyboardInterrupt:
        answered = True
    finally:
        speaker.close()
    if not answered:
        raise RelayError("there was no answer")


def address(url: str, model: str) -> URL:
    """The socket of a relay: any of ws, wss, http and https, with the path or without.

    Raises:
        RelayError: no such address.
    """
    try:
        parsed = URL(url if "://" in url else f"ws://{url}")
    except ValueError:
        parsed = URL()
    if not parsed.host or parsed.scheme not in ("ws", "wss", "http", "https"):
        raise RelayError(f"{url} is not an address like ws://127.0.0.1:8080")
    path = parsed if parsed.path not in ("", "/") else parsed.with_path("/v1/realtime")
    return path.with_scheme({"http": "ws", "https": "wss"}.get(parsed.scheme, parsed.scheme)).update_query(model=model)


async def source(pcm: bytes | None, text: str | None) -> AsyncIterator[bytes | None]:
    """Blocks to send; None marks the end of the input, after which only silence follows."""
    if pcm is None and text is None:
        async for block in from_microphone():
            yield block
    if pcm is not None:
        async for block in from_file(pcm):
            yield block
    yield None
    if pcm is not None:
        async for block in silence():
            yield block


@dataclass
class Call:
    """One call: four loops around a `Conversation`, of which the first to end ends the call."""

    address: URL
    key: str
    microphone: AsyncIterator[bytes | None]
    speaker: Speaker
    text: str | None
    wait_s: float
    ends: bool
    console: Console
    playback: Playback = field(default_factory=Playback)
    first_sent_at: float | None = None
    sent_blocks: int = 0
    input_over: bool = False

    def __post_init__(self) -> None:
        self.conversation = Conversation(self.playback, self.said_at)
        self.opened = asyncio.Event()
        self.progress_at = 0.0
        self.quiet_since: float | None = None

    async def run(self) -> bool:
        """Talk until it is over. Returns whether there was an answer.

        Raises:
            RelayError: the relay cannot be reached, or does not let us in.
        """
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        async with aiohttp.ClientSession() as http:
            try:
                socket = await http.ws_connect(
                    self.address, headers=headers, heartbeat=limits.HEARTBEAT_S,
                    max_msg_size=limits.MAX_MODEL_MESSAGE_BYTES, timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
                )
            except aiohttp.WSServerHandshakeError as error:
                raise RelayError(refusal(error.status)) from None
            except (aiohttp.ClientError, OSError):
                raise RelayError(
                    f"nothing answers at {self.address.origin()}; `relay serve` starts a relay"
                ) from None
            async with socket:
                await self._converse(socket)
        return self.conversation.answers > 0 and not self.conversation.failed

    async def _converse(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.progress_at = self._now()
        with Live(console=self.console, auto_refresh=False, transient=True) as live:
            loops = [
                spawn(self._receive(socket, live), name="talk receive"),
                spawn(self._send(socket), name="talk send"),
                spawn(self._play(), name="talk play"),
            ]
            try:
                done, _ = await asyncio.wait(loops, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in loops:
                    one.cancel()
                await asyncio.wait(loops)
                self._show(live)
            for one in done:
                one.result()

    async def _receive(self, socket: aiohttp.ClientWebSocketResponse, live: Live) -> None:
        """Take what the relay says until it closes."""
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            event = parse(message.data)
            self.progress_at = self._now()
            frames = self.conversation.take(event, self.progress_at)
            if event.get("type") == "session.created":
                frames = [*frames, *opening(self.text)]
                if self.text is not None:
                    self.conversation.expect_answer()
                    self.conversation.lines.append(Line("you", self.text))
            for frame in frames:
                await _say(socket, frame)
            if event.get("type") == "session.created":
                self.opened.set()
            self._show(live)
        code = socket.close_code
        if code != aiohttp.WSCloseCode.OK:
            self.conversation.failed = True
        self.conversation.lines.append(Line("note", f"the relay ended the session ({code})"))

    async def _send(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        """Send the microphone, from the moment the session exists."""
        await self.opened.wait()
        async for block in self.microphone:
            if block is None:
                self.input_over = True
                self.progress_at = self._now()
                continue
            if self.first_sent_at is None:
                self.first_sent_at = self._now()
            self.sent_blocks += 1
            await _say(socket, {"type": "input_audio_buffer.append", "audio": base64.b64encode(block).decode()})
        await asyncio.Event().wait()  # typed words only: nothing to send, and still much to hear

    async def _play(self) -> None:
        """Play until the conversation is over."""
        while not self._over(self._now()):
            await self.speaker.write(self.playback.pull(BLOCK_BYTES))

    def _over(self, now: float) -> bool:
        """Whether all was said and heard, or nothing comes any more."""
        opened = self.opened.is_set()
        if self.conversation.busy or not opened:
            self.quiet_since = None
            stuck = not self.playback.queued_ms and now - self.progress_at > self.wait_s
            return stuck and (self.ends or not opened)
        if not (self.ends and self.input_over):
            return False
        if self.quiet_since is None:
            self.quiet_since = now
        return now - self.quiet_since >= SETTLE_S

    def said_at(self, position_ms: float) -> float | None:
        """When the given millisecond of our audio was sent; audio is sent as fast as it plays."""
        if self.first_sent_at is None or position_ms > self.sent_blocks * BLOCK_MS:
            return None
        return self.first_sent_at + position_ms / 1000

    def _show(self, live: Live) -> None:
        """Finished lines for good, growing ones below them."""
        lines = self.conversation.lines
        while lines:
            live.console.print(row(lines.popleft()))
        growing = [Line("you", self.conversation.hearing), Line("agent", self.conversation.saying)]
        live.update(Group(*(row(line) for line in growing if line.text)), refresh=True)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def row(line: Line) -> Table:
    """A line as it looks: who, what, and an aside in grey."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=5, style=f"bold {STYLES[line.kind]}")
    table.add_column(style=STYLES[line.kind] if line.kind in ("tool", "note", "error") else "")
    said = Text(line.text)  # a Text has no markup: words may hold brackets
    if line.aside:
        said.append(f" ({line.aside})", style="dim")
    table.add_row(line.kind if line.kind != "note" else "", said)
    return table


def refusal(status: int) -> str:
    """Why the relay did not let us in."""
    reasons = {
        401: "the relay does not accept this key: give --key, or set RELAY_KEY",
        403: "this key does not allow that",
        404: "the relay has no such model (or the address is not a relay)",
        429: "too many at once: try again later",
        503: "the relay is full or stopping: try again later",
    }
    return reasons.get(status, "the relay refused the connection") + f" (HTTP {status})"


async def _say(socket: aiohttp.ClientWebSocketResponse, frame: Frame) -> None:
    with contextlib.suppress(ConnectionError):  # closed meanwhile: the receiving loop tells why
        await socket.send_str(json.dumps(frame))
