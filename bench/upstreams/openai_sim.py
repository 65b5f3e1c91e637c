"""A simulated OpenAI Realtime server (GA shape), for tests and load: `python -m bench.upstreams.openai_sim --port 0`.

Written from `protocols/openai-realtime.md` (sections 1, 7 to 12) with the `websockets` library; it never imports the
relay's codecs, so it is an independent check of them. It does not listen or think:

    echo   every input_audio_buffer.append is answered with one response.output_audio.delta of the same payload
    pour   once a session is updated, deltas of 20 ms flow at 50 a second until it is closed
    talk   commit makes an item; response.create is answered with a spoken reply, or with a call of the first tool when
           the last item of the caller says "tool"; an answer to the call is spoken
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import math
import struct
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Json = dict[str, Any]

TONE = base64.b64encode(
    struct.pack("<480h", *(int(8000 * math.sin(2 * math.pi * 440 * n / 24_000)) for n in range(480)))
).decode()
"""20 ms of 440 Hz, PCM16 at 24 kHz."""

REPLY = "This is the simulated model speaking. "


class Conversation:
    """One session of a client."""

    def __init__(self, socket: ServerConnection, mode: str) -> None:
        self.socket = socket
        self.mode = mode
        self.model = parse_qs(urlsplit(socket.request.path).query).get("model", [""])[0]  # type: ignore[union-attr]
        self.ids = itertools.count(1)
        self.session: Json = {
            "type": "realtime", "object": "realtime.session", "id": f"sess_sim{id(self):x}", "model": self.model,
            "output_modalities": ["audio"], "instructions": "", "tools": [], "tool_choice": "auto",
            "max_output_tokens": "inf", "audio": {
                "input": {"format": {"type": "audio/pcm", "rate": 24000}, "transcription": None,
                          "noise_reduction": None, "turn_detection": {"type": "server_vad"}},
                "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "marin", "speed": 1.0}},
        }
        self.appended = 0
        self.last_item: str | None = None
        self.wants_tool = False
        self.running: asyncio.Task[None] | None = None
        self.response_id = ""
        self.item_id = ""

    async def run(self) -> None:
        """Talk until the client leaves."""
        await self.say("session.created", session=self.session)
        async for frame in self.socket:
            message = json.loads(frame)
            kind = message.get("type", "")
            if kind == "input_audio_buffer.append" and self.mode == "echo":
                await self.echo(message["audio"])
                continue
            act = getattr(self, "on_" + kind.replace(".", "_"), None)
            if act is None:
                await self.fail("invalid_value", f"Invalid value: '{kind}'.", "type", message.get("event_id"))
            else:
                await act(message)

    async def say(self, kind: str, **members: Any) -> None:
        """Send one event."""
        await self.socket.send(json.dumps({"type": kind, "event_id": f"event_{next(self.ids)}", **members}))

    async def fail(self, code: str, text: str, param: str | None = None, event_id: str | None = None) -> None:
        """Send an `error` event (section 12.2)."""
        await self.say("error", error={"type": "invalid_request_error", "code": code, "message": text,
                                       "param": param, "event_id": event_id})

    async def echo(self, audio: str) -> None:
        """Answer an append with a delta of the same payload."""
        if not self.response_id:
            await self.begin()
        await self.delta(audio)

    async def pour(self) -> None:
        """Send 50 deltas a second."""
        await self.begin()
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await self.delta(TONE)
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))

    async def begin(self) -> None:
        """Begin a spoken response (section 10.2)."""
        self.response_id, self.item_id = f"resp_{next(self.ids)}", f"item_{next(self.ids)}"
        await self.say("response.created", response=self.response("in_progress"))
        item = self.spoken("in_progress")
        await self.say("response.output_item.added", response_id=self.response_id, output_index=0, item=item)
        await self.say("conversation.item.added", previous_item_id=self.last_item, item=item)
        await self.say("response.content_part.added", **self.place(), part={"type": "audio", "transcript": ""})

    async def delta(self, audio: str) -> None:
        """Send audio of the response."""
        await self.say("response.output_audio.delta", **self.place(), delta=audio)

    async def finish(self, status: str, reason: str | None = None) -> None:
        """End the spoken response, with all its `done` events (section 9.6)."""
        done = self.spoken("completed" if status == "completed" else "incomplete", REPLY)
        await self.say("response.output_audio.done", **self.place())
        await self.say("response.output_audio_transcript.done", **self.place(), transcript=REPLY)
        await self.say("response.content_part.done", **self.place(), part={"type": "audio", "transcript": REPLY})
        await self.say("conversation.item.done", previous_item_id=self.last_item, item=done)
        await self.say("response.output_item.done", response_id=self.response_id, output_index=0, item=done)
        await self.say("response.done", response=self.response(status, [done], reason))
        self.last_item, self.response_id = self.item_id, ""

    async def reply(self) -> None:
        """One answer: 400 ms of tone with a transcript, faster than real time."""
        await self.begin()
        for word in REPLY.split():
            await self.say("response.output_audio_transcript.delta", **self.place(), delta=word + " ")
            await self.delta(TONE)
        for _ in range(20):
            await self.delta(TONE)
        await self.finish("completed")

    async def call_tool(self) -> None:
        """One answer: a call of the first tool (section 10.4)."""
        self.wants_tool = False
        self.response_id, item_id, call_id = (f"{kind}_{next(self.ids)}" for kind in ("resp", "item", "call"))
        item = {"id": item_id, "object": "realtime.item", "type": "function_call", "status": "in_progress",
                "name": self.session["tools"][0]["name"], "call_id": call_id, "arguments": ""}
        await self.say("response.created", response=self.response("in_progress"))
        await self.say("response.output_item.added", response_id=self.response_id, output_index=0, item=item)
        await self.say("conversation.item.added", previous_item_id=self.last_item, item=item)
        where = {"response_id": self.response_id, "item_id": item_id, "output_index": 0, "call_id": call_id}
        await self.say("response.function_call_arguments.delta", **where, delta="{}")
        await self.say("response.function_call_arguments.done", **where, name=item["name"], arguments="{}")
        done = {**item, "status": "completed", "arguments": "{}"}
        await self.say("conversation.item.done", previous_item_id=self.last_item, item=done)
        await self.say("response.output_item.done", response_id=self.response_id, output_index=0, item=done)
        await self.say("response.done", response=self.response("completed", [done]))
        self.last_item, self.response_id = item_id, ""

    # --- client events (section 7)

    async def on_session_update(self, message: Json) -> None:
        merge(self.session, message["session"])
        await self.say("session.updated", session=self.session)
        if self.mode == "pour" and self.running is None:
            self.running = asyncio.create_task(self.pour())

    async def on_input_audio_buffer_append(self, message: Json) -> None:
        self.appended += len(base64.b64decode(message["audio"]))
        if self.mode == "pour" and self.running is None:
            self.running = asyncio.create_task(self.pour())

    async def on_input_audio_buffer_commit(self, message: Json) -> None:
        if self.appended < 4_800:
            await self.fail("input_audio_buffer_commit_empty", "Error committing input audio buffer: buffer too small.",
                            None, message.get("event_id"))
            return
        self.appended = 0
        item_id = f"item_{next(self.ids)}"
        await self.say("input_audio_buffer.committed", item_id=item_id, previous_item_id=self.last_item)
        await self.add({"id": item_id, "object": "realtime.item", "type": "message", "role": "user",
                        "status": "completed", "content": [{"type": "input_audio", "transcript": None}]})

    async def on_input_audio_buffer_clear(self, _message: Json) -> None:
        self.appended = 0
        await self.say("input_audio_buffer.cleared")

    async def on_conversation_item_create(self, message: Json) -> None:
        item = {"object": "realtime.item", "status": "completed", **message["item"]}
        item.setdefault("id", f"item_{next(self.ids)}")
        self.wants_tool = item["type"] == "message" and "tool" in json.dumps(item["content"])
        await self.add(item)

    async def on_conversation_item_truncate(self, message: Json) -> None:
        await self.say("conversation.item.truncated", item_id=message["item_id"],
                       content_index=message["content_index"], audio_end_ms=message["audio_end_ms"])

    async def on_conversation_item_delete(self, message: Json) -> None:
        await self.say("conversation.item.deleted", item_id=message["item_id"])

    async def on_response_create(self, message: Json) -> None:
        if self.response_id:
            await self.fail("conversation_already_has_active_response",
                            f"Conversation already has an active response: {self.response_id}.", None,
                            message.get("event_id"))
            return
        self.response_id = "resp_begins"
        wants_tool = self.wants_tool and self.session["tools"]
        self.running = asyncio.create_task(self.call_tool() if wants_tool else self.reply())

    async def on_response_cancel(self, message: Json) -> None:
        if not self.response_id or self.running is None:
            await self.fail("response_cancel_not_active", "Cancellation failed: no active response found.", None,
                            message.get("event_id"))
            return
        self.running.cancel()
        await self.finish("cancelled", "client_cancelled")

    # --- shapes

    async def add(self, item: Json) -> None:
        """An item of the caller enters the conversation."""
        await self.say("conversation.item.added", previous_item_id=self.last_item, item=item)
        await self.say("conversation.item.done", previous_item_id=self.last_item, item=item)
        self.last_item = item["id"]

    def place(self) -> Json:
        """Where a delta belongs."""
        return {"response_id": self.response_id, "item_id": self.item_id, "output_index": 0, "content_index": 0}

    def spoken(self, status: str, transcript: str | None = None) -> Json:
        """The assistant's item."""
        content = [] if transcript is None else [{"type": "output_audio", "transcript": transcript}]
        return {"id": self.item_id, "object": "realtime.item", "type": "message", "role": "assistant",
                "status": status, "content": content}

    def response(self, status: str, output: list[Json] | None = None, reason: str | None = None) -> Json:
        """The response object (section 9.6)."""
        details = {"type": status, "reason": reason} if reason else None
        usage = None if status == "in_progress" else {
            "total_tokens": 30, "input_tokens": 10, "output_tokens": 20,
            "input_token_details": {"text_tokens": 4, "audio_tokens": 6, "cached_tokens": 0},
            "output_token_details": {"text_tokens": 5, "audio_tokens": 15}}
        return {"id": self.response_id, "object": "realtime.response", "status": status, "status_details": details,
                "output": output or [], "conversation_id": "conv_sim", "output_modalities": ["audio"],
                "max_output_tokens": "inf", "audio": {"output": {"format": {"type": "audio/pcm", "rate": 24000},
                                                                 "voice": "marin"}},
                "usage": usage, "metadata": None}


def merge(into: Json, changes: Json) -> None:
    """Lay `changes` over a session; objects are merged, everything else is replaced (section 3.8)."""
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(into.get(name), dict) and name != "turn_detection":
            merge(into[name], value)
        else:
            into[name] = value


def check_path(_connection: ServerConnection, request: Request) -> Response | None:
    """Refuse what is not `…/realtime`, as the real server does."""
    if urlsplit(request.path).path.endswith("/realtime"):
        return None
    return _connection.respond(404, '{"error":{"message":"not found","type":"invalid_request_error"}}')


async def simulate(host: str, port: int, mode: str, ready: asyncio.Future[int] | None = None) -> None:
    """Serve until cancelled; `ready` is told the port."""

    async def converse(socket: ServerConnection) -> None:
        conversation = Conversation(socket, mode)
        try:
            await conversation.run()
        except ConnectionClosed:
            pass
        finally:
            if conversation.running is not None:
                conversation.running.cancel()
                await asyncio.gather(conversation.running, return_exceptions=True)

    async with serve(converse, host, port, compression=None, max_size=32 * 1024 * 1024, process_request=check_path,
                     ping_interval=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        if ready is not None:
            ready.set_result(port)
        print(f"openai_sim ready on ws://{host}:{port}/v1", file=sys.stderr, flush=True)
        await asyncio.get_running_loop().create_future()


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--mode", choices=("echo", "pour", "talk"), default="talk")
    options = parser.parse_args()
    try:
        import uvloop

        run = uvloop.run
    except ImportError:
        run = asyncio.run
    run(simulate(options.host, options.port, options.mode))


if __name__ == "__main__":
    main()
