"""The local engines: recognizer and synthesizer in processes of their own, the small assistant in this one.

A *crew* is the processes of one kind and the work that waits for them. A recognizer serves one turn at a time, as it is
spoken; while all are busy, a turn gathers its audio. A turn that is complete never waits behind one that still goes on:
the unfinished one gives way and is decoded from its beginning later. What a caller waits for is therefore never held up
by somebody else's open microphone.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, Literal, TypeVar

from relay import limits
from relay.commands import Command, Drop, FinishListening, Hear, Listen, Speak, Think
from relay.events import (
    EngineFailed,
    Event,
    ReplyFinished,
    ReplyProduced,
    ReplyToolCalled,
    SpeechFinished,
    SpeechProduced,
    TranscriptHeard,
)
from relay.net.engine_process import EngineLost, EngineProcess
from relay.net.tasks import spawn
from relay.nouns import AudioFormat, SpokenWord
from relay.providers.local import assistant

log = logging.getLogger("relay.engines")

LISTEN_FORMAT = AudioFormat("pcm16", 16_000)
"""What `Hear` carries."""
SPEAK_FORMAT = AudioFormat("pcm16", 22_050)
"""What `SpeechProduced` carries."""
SPEAKERS = 2
"""Synthesizer processes: one makes 400 seconds of speech a second, a second one is there while the first restarts."""

MAX_TURN_BYTES = int(limits.ENGINE_QUEUE_S * LISTEN_FORMAT.bytes_per_second)
PIECE_BYTES = LISTEN_FORMAT.bytes_per_second // 10
"""A recognizer is not woken for less than 100 ms."""
MAX_PIECE_BYTES = LISTEN_FORMAT.bytes_per_second
"""What it is given at once: after a second of audio at most, it can be told something else."""


@dataclass(eq=False)
class Job:
    """One piece of work of a session."""

    session: EngineSession
    ref: str
    stage: Literal["listen", "speak"]
    dropped: bool = False

    @property
    def urgent(self) -> bool:
        """Somebody waits for the end of it."""
        return True

    def drop(self) -> None:
        self.dropped = True

    def report(self, event: Event) -> None:
        if not self.dropped:
            self.session.report(event)

    def fail(self) -> None:
        """Give up; nothing more will be reported."""
        self.report(EngineFailed(self.ref, self.stage, "The local speech engine failed."))
        self.end()

    def end(self) -> None:
        self.dropped = True
        self.session.forget(self)


@dataclass(eq=False)
class Turn(Job):
    """A turn to be written down. Its audio is kept until the end, for when it has to begin again.

    What is said beyond limits.ENGINE_QUEUE_S is not heard: the words until then are still better than none.
    """

    audio: bytearray = field(default_factory=bytearray)
    finished: bool = False
    """The caller is done; all audio is here."""
    gives_way: bool = False
    """Its recognizer is needed for a turn that is finished."""
    news: asyncio.Event = field(default_factory=asyncio.Event)
    decoded_bytes: int = 0

    @property
    def urgent(self) -> bool:
        return self.finished

    def drop(self) -> None:
        self.dropped = True
        self.news.set()

    def give_way(self) -> None:
        self.gives_way = True
        self.news.set()

    def hear(self, audio: bytes) -> None:
        if not self.finished:
            self.audio += audio[: MAX_TURN_BYTES - len(self.audio)]
            if len(self.audio) - self.decoded_bytes >= PIECE_BYTES:
                self.news.set()

    def piece(self) -> bytes:
        """Whole samples to decode next; b"" while there are too few to bother."""
        size = min(len(self.audio) - self.decoded_bytes, MAX_PIECE_BYTES) & ~1
        if size < PIECE_BYTES and not self.finished:
            return b""
        begin = self.decoded_bytes
        self.decoded_bytes += size
        return bytes(memoryview(self.audio)[begin : begin + size])


@dataclass(eq=False)
class Utterance(Job):
    """A text to be spoken."""

    text: str = ""
    voice: str | None = None
    speed: float = 1.0


J = TypeVar("J", bound=Job)


class Crew(Generic[J]):
    """Processes of one kind, started when they are needed, and the work that waits for them.

    Args:
        kind: what the worker is started as.
        size: how many processes there may be.
        serve: does one job with one process; raises EngineLost when the process is.
    """

    def __init__(self, kind: str, size: int, serve: Callable[[EngineProcess, J], Awaitable[None]]) -> None:
        self._kind = kind
        self._size = size
        self._serve = serve
        self._waiting: list[J] = []
        """Bounded by limits.ENGINE_WAITING_TASKS."""
        self._posts: dict[asyncio.Task[None], J | None] = {}
        """One task for each process, and what it is working on."""
        self._news = asyncio.Event()
        self._processes: set[EngineProcess] = set()

    @property
    def pids(self) -> set[int]:
        """Of the processes that live and are ready."""
        return {process.pid for process in self._processes if process.alive}

    def warm(self) -> None:
        """Have one process ready before it is needed."""
        if not self._posts:
            self._open_post()

    def put(self, job: J) -> None:
        """More work."""
        if len(self._waiting) >= limits.ENGINE_WAITING_TASKS:
            asyncio.get_running_loop().call_soon(job.fail)
            return
        self._waiting.append(job)
        self.look()

    def look(self) -> None:
        """Something about the waiting work has changed."""
        self._news.set()
        working = [job for job in self._posts.values() if job is not None]
        free = len(self._posts) - len(working)  # or about to be: a process that is being started
        if len(self._waiting) > free and len(self._posts) < self._size:
            self._open_post()
            return
        going_on = [job for job in working if isinstance(job, Turn) and not job.urgent]
        staying = [job for job in going_on if not job.gives_way]
        free += len(going_on) - len(staying)
        if staying and sum(job.urgent for job in self._waiting) > free:
            staying[0].give_way()

    def remove(self, job: J) -> None:
        """Nobody wants it any more; a process that works on it finds out by itself."""
        if job in self._waiting:
            self._waiting.remove(job)

    async def stop(self) -> None:
        """End all processes; waiting work is forgotten."""
        self._waiting.clear()
        posts = list(self._posts)
        for post in posts:
            post.cancel()
        await asyncio.gather(*posts, return_exceptions=True)

    def _open_post(self) -> None:
        post = spawn(self._work(), name=f"engine {self._kind}")
        self._posts[post] = None
        post.add_done_callback(self._posts.pop)

    async def _work(self) -> None:
        """One process after the other (there is a second only if the first is lost), one job after the other."""
        me = asyncio.current_task()
        assert me is not None, "spawned"
        while True:
            try:
                process = await EngineProcess.start(self._kind)
            except EngineLost:
                log.warning("engine does not start", extra={"kind": self._kind})
                if self._waiting:
                    self._waiting.pop(0).fail()
                    continue
                return
            self._processes.add(process)
            try:
                while process.alive:
                    job = await self._next()
                    if not process.alive:
                        self._waiting.insert(0, job)
                        break
                    self._posts[me] = job
                    await self._serve(process, job)
                    self._settle(me)
            except EngineLost:
                log.warning("engine lost", extra={"kind": self._kind})
                self._settle(me, lost=True)
            finally:
                self._processes.discard(process)
                await process.stop()

    async def _next(self) -> J:
        """The longest waiting job; those that somebody waits for go first."""
        while not self._waiting:
            self._news.clear()
            await self._news.wait()
        job = next((job for job in self._waiting if job.urgent), self._waiting[0])
        self._waiting.remove(job)
        return job

    def _settle(self, post: asyncio.Task[None], *, lost: bool = False) -> None:
        """A job is over, or gave way, or went down with its process."""
        job, self._posts[post] = self._posts[post], None
        if job is None or job.dropped:
            return
        if lost:
            job.fail()
        elif isinstance(job, Turn) and job.gives_way:
            job.gives_way, job.decoded_bytes = False, 0
            self._waiting.append(job)


class LocalEngines:
    """All local engines of this process. Nothing is loaded before the first session.

    Args:
        listeners: recognizer processes at most; None: as many as there are cores.
        speakers: synthesizer processes at most.
    """

    def __init__(self, listeners: int | None = None, speakers: int = SPEAKERS) -> None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        self.listening: Crew[Turn] = Crew("listen", listeners or min(cores, limits.ENGINE_PROCESSES), _listen)
        self.speaking: Crew[Utterance] = Crew("speak", speakers, _speak)

    async def start(self) -> None:
        """Nothing yet: processes are started for the first session."""

    async def stop(self) -> None:
        """End all engine processes."""
        await asyncio.gather(self.listening.stop(), self.speaking.stop())

    def warm(self) -> None:
        """Load what a first turn needs, without waiting for it."""
        self.listening.warm()
        self.speaking.warm()

    def session(self, sink: Callable[[Event], None]) -> EngineSession:
        """Engines for one conversation. `sink` is called on the event loop, never from within `do`."""
        self.warm()
        return EngineSession(self, sink)


class EngineSession:
    """One conversation's share of the engines."""

    def __init__(self, engines: LocalEngines, sink: Callable[[Event], None]) -> None:
        self._engines = engines
        self._sink = sink
        self._jobs: dict[str, Turn | Utterance] = {}
        self._thoughts: dict[str, Iterator[Event]] = {}
        self._loop = asyncio.get_running_loop()
        self.means: str | None = None
        """What the recognizer learned of this caller's microphone."""

    def do(self, command: Command) -> None:
        """Begin, feed or stop a piece of work. Never waits, never raises on what was said."""
        match command:
            case Hear():
                if isinstance(turn := self._jobs.get(command.ref), Turn):
                    turn.hear(command.audio)
            case Listen():
                self._jobs[command.ref] = turn = Turn(self, command.ref, "listen")
                self._engines.listening.put(turn)
            case FinishListening():
                if isinstance(turn := self._jobs.get(command.ref), Turn):
                    turn.finished = True
                    turn.news.set()
                    self._engines.listening.look()
            case Think():
                self._thoughts[command.ref] = _thoughts(command)
                self._loop.call_soon(self._think_on, command.ref)
            case Speak():
                utterance = Utterance(
                    self, command.ref, "speak", text=command.text, voice=command.voice, speed=command.speed
                )
                self._jobs[command.ref] = utterance
                self._engines.speaking.put(utterance)
            case Drop():
                self._drop(command.ref)

    def close(self) -> None:
        """Drop everything; the sink is not called any more."""
        for ref in [*self._jobs, *self._thoughts]:
            self._drop(ref)

    def report(self, event: Event) -> None:
        """A job has something to say."""
        self._sink(event)

    def forget(self, job: Job) -> None:
        """A job is over."""
        if self._jobs.get(job.ref) is job:
            del self._jobs[job.ref]

    def _drop(self, ref: str) -> None:
        self._thoughts.pop(ref, None)
        job = self._jobs.pop(ref, None)
        if isinstance(job, Turn):
            job.drop()
            self._engines.listening.remove(job)
        elif job is not None:
            job.drop()
            self._engines.speaking.remove(job)

    def _think_on(self, ref: str) -> None:
        """One event for each round of the event loop: a long answer delays nobody's frames."""
        thoughts = self._thoughts.get(ref)
        if thoughts is None:
            return
        try:
            event = next(thoughts)
        except Exception as error:  # whatever history and schemas of strangers may do to it
            log.error("assistant failed", extra={"error": type(error).__name__})
            event = EngineFailed(ref, "think", "The local assistant failed.")
        if isinstance(event, ReplyFinished | EngineFailed):
            del self._thoughts[ref]
        else:
            self._loop.call_soon(self._think_on, ref)
        self._sink(event)


def _thoughts(command: Think) -> Iterator[Event]:
    """What the assistant answers, up to and with `ReplyFinished`."""
    now = datetime.now().astimezone()
    reply = assistant.answer(command.instructions, command.history, command.tools, command.tool_choice, now)
    for delta in assistant.deltas(reply.text):
        yield ReplyProduced(command.ref, delta)
    for call in reply.calls:
        yield ReplyToolCalled(command.ref, f"call_{secrets.token_hex(12)}", call.name, call.arguments)
    yield ReplyFinished(command.ref, reply.input_tokens, reply.output_tokens)


async def _listen(process: EngineProcess, turn: Turn) -> None:
    """Decode a turn while it is spoken. Ends early when it is dropped or gives way."""
    await process.ask({"do": "listen", "means": turn.session.means})
    shown = ""
    while not turn.dropped and (turn.finished or not turn.gives_way):
        if piece := turn.piece():
            answer = await process.ask({"do": "hear"}, piece)
            text = answer.get("text", shown)
            if text != shown:
                shown = text
                turn.report(TranscriptHeard(turn.ref, text, final=False))
        elif turn.finished:
            answer = await process.ask({"do": "finish"})
            turn.session.means = answer["means"]
            turn.report(TranscriptHeard(turn.ref, answer["text"], final=True))
            turn.end()
            return
        else:
            turn.news.clear()
            await turn.news.wait()
    await process.ask({"do": "drop"})


async def _speak(process: EngineProcess, utterance: Utterance) -> None:
    """Synthesize a text. It is too quick to be worth stopping: what comes after a drop is thrown away."""
    process.send({"do": "speak", "text": utterance.text, "voice": utterance.voice, "speed": utterance.speed})
    while True:
        message = await process.receive()
        if "end" in message.head:
            utterance.report(SpeechFinished(utterance.ref))
            utterance.end()
            return
        words = tuple(SpokenWord(text, start_ms) for text, start_ms in message.head["words"])
        utterance.report(SpeechProduced(utterance.ref, message.tail, words))
        await asyncio.sleep(0)  # chunks come in heaps: let others have their frames in between
