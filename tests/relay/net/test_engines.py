"""The local engines with real processes: every piece of work ends in one of the events it promises."""

import asyncio
import os
import signal
from contextlib import asynccontextmanager

from relay import limits
from relay.commands import Drop, FinishListening, Hear, Listen, Speak, Think
from relay.events import (
    EngineFailed,
    ReplyFinished,
    ReplyProduced,
    ReplyToolCalled,
    SpeechFinished,
    SpeechProduced,
    TranscriptHeard,
)
from relay.net import tasks
from relay.net.engines import MAX_PIECE_BYTES, MAX_TURN_BYTES, PIECE_BYTES, SPEAK_FORMAT, LocalEngines, Turn
from relay.nouns import Item, Part, Settings, Tool
from tests.fakes.spoken import UNDERSTOOD, spoken

WEATHER = Tool("get_weather", "", {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]})


class Caller:
    """A session whose reports are kept."""

    def __init__(self, engines):
        self.events = []
        self._news = asyncio.Event()
        self.session = engines.session(self._hear)
        self.do = self.session.do

    def _hear(self, event):
        self.events.append(event)
        self._news.set()

    def of(self, ref, kind=object):
        return [event for event in self.events if event.ref == ref and isinstance(event, kind)]

    async def until(self, ref, *kinds):
        """The first event of these kinds for a reference; of transcripts the final one."""
        async with asyncio.timeout(30):
            while True:
                for event in self.of(ref, kinds):
                    if getattr(event, "final", True):
                        return event
                self._news.clear()
                await self._news.wait()

    def begin(self, ref, pcm):
        """A turn, as it comes in frames."""
        self.do(Listen(ref))
        for at in range(0, len(pcm), 640):
            self.do(Hear(ref, pcm[at : at + 640]))

    async def said(self, ref, pcm):
        """A whole turn, until its final transcript."""
        self.begin(ref, pcm)
        self.do(FinishListening(ref))
        return (await self.until(ref, TranscriptHeard, EngineFailed)).text


@asynccontextmanager
async def running(listeners=1, speakers=1):
    engines = LocalEngines(listeners, speakers)
    await engines.start()
    try:
        yield engines
    finally:
        await engines.stop()


def think(text, *tools, ref="t"):
    return Think(ref, (Item("i", "message", "user", content=(Part("input_audio", text),)),), Settings(), tools)


async def soon(condition):
    """Wait until something is so."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.001)


async def only(crew):
    """The pid of a crew's only process, once it is ready."""
    await soon(lambda: crew.pids)
    return min(crew.pids)


def alive(pid):
    return os.path.exists(f"/proc/{pid}")


def test_turn_gives_partial_transcripts_and_exactly_one_final():
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            assert await caller.said("l", spoken()) == UNDERSTOOD
            await asyncio.sleep(0.01)
            events = caller.of("l")
            assert [event.final for event in events] == [False] * (len(events) - 1) + [True]
            assert len(events) > 1

    asyncio.run(scenario())


def test_speech_comes_in_short_chunks_with_all_its_words():
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            caller.do(Speak("s", "Hello there, friend. ", None, 1.0))
            await caller.until("s", SpeechFinished)
            *chunks, end = caller.of("s")
            assert end == SpeechFinished("s")
            assert all(isinstance(chunk, SpeechProduced) and len(chunk.pcm) % 2 == 0 for chunk in chunks)
            assert max(SPEAK_FORMAT.duration_ms(len(chunk.pcm)) for chunk in chunks) <= 101
            assert "".join(word.text for chunk in chunks for word in chunk.words) == "Hello there, friend. "
            assert chunks[0].words[0].start_ms == 0

    asyncio.run(scenario())


def test_thought_is_told_in_pieces_after_do_has_returned():
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            caller.do(think("hello"))
            assert caller.events == []
            end = await caller.until("t", ReplyFinished)
            pieces = caller.of("t", ReplyProduced)
            assert len(pieces) > 2
            assert "small local assistant" in "".join(piece.delta for piece in pieces)
            assert (end.input_tokens, end.output_tokens > 8) == (2, True)

    asyncio.run(scenario())


def test_tool_calls_have_ids_of_their_own():
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            caller.do(think("the weather in paris and london", WEATHER))
            await caller.until("t", ReplyFinished)
            first, second = caller.of("t", ReplyToolCalled)
            assert (first.arguments, second.arguments) == ('{"city":"Paris"}', '{"city":"London"}')
            assert first.call_id != second.call_id

    asyncio.run(scenario())


def test_thought_that_breaks_is_reported_without_its_text(monkeypatch):
    def broken(*args):
        raise RuntimeError("secret")

    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            monkeypatch.setattr("relay.net.engines.assistant.answer", broken)
            caller.do(think("hello"))
            assert await caller.until("t", EngineFailed) == EngineFailed("t", "think", "The local assistant failed.")

    asyncio.run(scenario())


def test_nothing_of_a_dropped_reference_arrives():
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            caller.begin("l", spoken())
            caller.do(FinishListening("l"))
            caller.do(Speak("s", "Never heard."))
            caller.do(think("tell me a story"))
            for ref in ("l", "s", "t", "unknown"):
                caller.do(Drop(ref))
            caller.do(Speak("later", "Yes."))
            await caller.until("later", SpeechFinished)
            assert await caller.said("later too", spoken("hello")) == "hello"
            assert {event.ref for event in caller.events} == {"later", "later too"}

    asyncio.run(scenario())


def test_drop_in_the_middle_stops_the_rest():
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            caller.begin("l", spoken())
            caller.do(Speak("s", "One two three four five six seven eight nine ten."))
            caller.do(think("tell me a story"))
            while not (caller.of("l") and caller.of("s") and caller.of("t")):
                await asyncio.sleep(0.001)
                for ref in ("l", "s", "t"):
                    if caller.of(ref):
                        caller.do(Drop(ref))
            counts = [len(caller.of(ref)) for ref in ("l", "s", "t")]
            caller.do(Speak("later", "Yes."))
            await caller.until("later", SpeechFinished)
            assert await caller.said("later too", spoken("hello")) == "hello"
            assert [len(caller.of(ref)) for ref in ("l", "s", "t")] == counts

    asyncio.run(scenario())


def test_closed_session_hears_nothing_more():
    async def scenario():
        async with running() as engines:
            caller, other = Caller(engines), Caller(engines)
            caller.begin("l", spoken())
            caller.do(FinishListening("l"))
            caller.do(Speak("s", "Never heard."))
            caller.do(think("hello"))
            caller.session.close()
            assert await other.said("l", spoken("hello")) == "hello"
            assert caller.events == []

    asyncio.run(scenario())


def test_more_turns_at_once_than_processes_all_finish():
    async def scenario():
        async with running(listeners=2) as engines:
            callers = [Caller(engines) for _ in range(4)]
            texts = await asyncio.gather(*(caller.said("l", spoken("hello")) for caller in callers))
            assert texts == ["hello"] * 4
            assert len(engines.listening.pids) == 2

    asyncio.run(scenario())


def test_finished_turn_does_not_wait_for_an_open_microphone():
    async def scenario():
        async with running() as engines:
            talker, other = Caller(engines), Caller(engines)
            half = len(spoken()) // 2 & ~1
            talker.begin("l", spoken()[:half])
            await soon(lambda: talker.events)
            assert await other.said("l", spoken("hello")) == "hello"
            talker.do(Hear("l", spoken()[half:]))
            talker.do(FinishListening("l"))
            assert (await talker.until("l", TranscriptHeard)).text == UNDERSTOOD

    asyncio.run(scenario())


def test_killed_recognizer_fails_its_turn_and_the_next_one_works():
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            caller.begin("l", spoken())
            await soon(lambda: caller.events)
            pid = await only(engines.listening)
            os.kill(pid, signal.SIGKILL)
            caller.do(FinishListening("l"))
            assert (await caller.until("l", EngineFailed, TranscriptHeard)).stage == "listen"
            assert await caller.said("again", spoken("hello")) == "hello"
            assert engines.listening.pids.isdisjoint({pid})

    asyncio.run(scenario())


def test_hanging_recognizer_is_killed_and_replaced(monkeypatch):
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            pid = await only(engines.listening)
            os.kill(pid, signal.SIGSTOP)
            with monkeypatch.context() as patch:
                patch.setattr(limits, "ENGINE_REPLY_S", 0.05)
                caller.begin("l", spoken())
                await caller.until("l", EngineFailed)
            assert await caller.said("again", spoken("hello")) == "hello"
            assert not alive(pid)

    asyncio.run(scenario())


def test_lost_synthesizer_fails_its_text_and_the_next_one_works():
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            os.kill(await only(engines.speaking), signal.SIGSTOP)
            caller.do(Speak("s", "Never heard."))
            await asyncio.sleep(0.005)
            os.kill(await only(engines.speaking), signal.SIGKILL)
            assert (await caller.until("s", EngineFailed)).stage == "speak"
            caller.do(Speak("again", "Yes."))
            await caller.until("again", SpeechFinished)

    asyncio.run(scenario())


def test_process_that_died_while_idle_costs_no_turn():
    async def scenario():
        async with running() as engines:
            caller = Caller(engines)
            pid = await only(engines.speaking)
            os.kill(pid, signal.SIGKILL)
            await soon(lambda: pid not in engines.speaking.pids)
            caller.do(Speak("s", "Yes."))
            await caller.until("s", SpeechFinished)

    asyncio.run(scenario())


def test_engine_that_does_not_start_fails_what_waits_for_it(monkeypatch):
    async def scenario():
        monkeypatch.setattr("relay.net.engine_process.WORKER", "relay.nowhere")
        async with running() as engines:
            caller = Caller(engines)
            caller.begin("l", b"")
            caller.do(Speak("s", "Never heard."))
            assert (await caller.until("l", EngineFailed)).stage == "listen"
            assert (await caller.until("s", EngineFailed)).stage == "speak"

    asyncio.run(scenario())


def test_work_beyond_the_bound_fails_at_once(monkeypatch):
    async def scenario():
        monkeypatch.setattr(limits, "ENGINE_WAITING_TASKS", 1)
        async with running() as engines:
            caller = Caller(engines)
            caller.do(Speak("first", "Yes."))
            caller.do(Speak("second", "No."))
            assert caller.events == []
            await caller.until("second", EngineFailed)
            await caller.until("first", SpeechFinished)

    asyncio.run(scenario())


def test_nothing_runs_before_the_first_session_nor_after_stop():
    async def scenario():
        async with running() as engines:
            assert not tasks.running()
            Caller(engines)
            pids = {await only(engines.listening), await only(engines.speaking)}
        assert not tasks.running()
        assert not any(map(alive, pids))

    asyncio.run(scenario())


def test_stop_while_processes_start_leaves_none():
    async def scenario():
        async with running() as engines:
            Caller(engines)
            await asyncio.sleep(0.01)
        assert not tasks.running()

    asyncio.run(scenario())


def test_turn_gives_out_pieces_that_are_worth_it():
    async def scenario():
        turn = Turn(None, "l", "listen")
        turn.hear(bytes(PIECE_BYTES - 2))
        assert turn.piece() == b""
        turn.hear(bytes(2 * MAX_PIECE_BYTES))
        assert [len(turn.piece()) for _ in range(3)] == [MAX_PIECE_BYTES, MAX_PIECE_BYTES, 0]
        turn.hear(b"odd")
        turn.finished = True
        assert [len(turn.piece()), turn.piece()] == [PIECE_BYTES, b""]

    asyncio.run(scenario())


def test_endless_turn_is_heard_up_to_the_bound():
    async def scenario():
        turn = Turn(None, "l", "listen")
        for _ in range(3):
            turn.hear(bytes(MAX_TURN_BYTES // 2 - 100))
        assert len(turn.audio) == MAX_TURN_BYTES

    asyncio.run(scenario())
