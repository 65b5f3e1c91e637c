"""An engine process: `python -m relay.providers.local.worker listen|speak`.

Serves one piece of work at a time over its standard input and output (`messages`), and ends when the relay closes them
or dies. Engines live here, and not in the relay, because they compute for long without letting go of the interpreter,
and because native code that crashes or hangs must not take calls with it.

    relay -> listen   {"do": "listen", "means": …}     <- {}
                      {"do": "hear"} + PCM16 16 kHz    <- {} or {"text": …}
                      {"do": "finish"}                 <- {"text": …, "means": …}
                      {"do": "drop"}                   <- {}
    relay -> speak    {"do": "speak", "text": …, …}    <- {"words": [[text, start_ms], …]} + PCM16 …, then {"end": true}

The first message, without being asked, is {"ready": true}.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Protocol

from relay.providers.local.messages import PREFIX, Message, lengths, pack, unpack

MAX_MEMORY_BYTES = 1024 * 1024 * 1024
"""Address space of an engine process. The recognizer takes a tenth of it for an ordinary turn."""
MAX_OPEN_FILES = 32
NICENESS = 5
"""Engines give way to the relay's event loop: a late word is noticed less than a late frame."""


class Send(Protocol):
    def __call__(self, head: dict[str, Any], tail: bytes = b"") -> None: ...


def main(kind: str, source: BinaryIO, sink: BinaryIO) -> None:
    """Serve until the source ends."""

    def send(head: dict[str, Any], tail: bytes = b"") -> None:
        sink.write(pack(head, tail))
        sink.flush()

    serve = Listening(send) if kind == "listen" else Speaking(send)
    send({"ready": True})
    for message in received(source):
        serve.do(message)


class Listening:
    """The recognizer behind the protocol."""

    def __init__(self, send: Send) -> None:
        from relay.providers.local.sphinx import Recognizer

        self._recognizer = Recognizer()
        self._send = send

    def do(self, message: Message) -> None:
        answer: dict[str, Any] = {}
        match message.head["do"]:
            case "listen":
                self._recognizer.start(message.head.get("means"))
            case "hear":
                text = self._recognizer.hear(message.tail)
                if text is not None:
                    answer["text"] = text
            case "finish":
                answer["text"], answer["means"] = self._recognizer.finish()
            case "drop":
                self._recognizer.drop()
        self._send(answer)


class Speaking:
    """The synthesizer behind the protocol."""

    def __init__(self, send: Send) -> None:
        from relay.providers.local.espeak import Speaker

        self._speaker = Speaker()
        self._send = send

    def do(self, message: Message) -> None:
        wanted = message.head
        self._speaker.speak(
            wanted["text"], wanted["voice"], wanted["speed"], lambda pcm, words: self._send({"words": words}, pcm)
        )
        self._send({"end": True})


def received(source: BinaryIO) -> Iterator[Message]:
    """Messages until the other end is gone."""
    while len(prefix := source.read(PREFIX.size)) == PREFIX.size:
        head, tail = lengths(prefix)
        body = source.read(head + tail)
        if len(body) < head + tail:
            return
        yield unpack(body, head)


def confine() -> None:
    """Give up what an engine never needs: memory without end, files, core dumps, an equal share of the processor."""
    for what, limit in (
        (resource.RLIMIT_AS, MAX_MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, MAX_OPEN_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(what)[1]
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(what, (limit, limit))
    os.nice(NICENESS)


if __name__ == "__main__":
    confine()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the messages
    main(sys.argv[1], sys.stdin.buffer, answers)
