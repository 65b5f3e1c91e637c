"""One engine process, as seen from the relay."""

import asyncio
import sys
from pathlib import Path

import pytest

from relay import limits
from relay.net import engine_process
from relay.net.engine_process import EngineLost, EngineProcess

SPEAK = {"do": "speak", "text": "Yes.", "voice": None, "speed": 1.0}


def alive(process):
    return Path(f"/proc/{process.pid}").exists()


def environment(process):
    return Path(f"/proc/{process.pid}/environ").read_bytes()


def run(scenario):
    """On each of the event loops that the relay runs on."""
    import uvloop

    asyncio.run(scenario())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())


def test_started_process_answers_until_it_is_stopped():
    async def scenario():
        process = await EngineProcess.start("speak")
        process.send(SPEAK)
        assert (await process.receive()).tail
        assert process.alive
        await process.stop()
        assert not process.alive
        assert not alive(process)

    run(scenario)


def test_killed_process_is_lost_and_can_still_be_stopped():
    async def scenario():
        process = await EngineProcess.start("speak")
        process.kill()
        with pytest.raises(EngineLost):
            await process.ask(SPEAK)
        await process.stop()

    run(scenario)


def test_secrets_of_the_relay_do_not_reach_a_process(monkeypatch):
    async def scenario():
        monkeypatch.setenv("OPENAI_API_KEY", "secret")
        process = await EngineProcess.start("speak")
        given = environment(process)
        await process.stop()
        assert b"secret" not in given
        assert b"PYTHONPATH" in given

    asyncio.run(scenario())


@pytest.mark.parametrize("code", ["print('not a message')", "raise SystemExit(1)", "import time; time.sleep(60)"])
def test_process_that_does_not_say_it_is_ready_is_ended(tmp_path, monkeypatch, code):
    (tmp_path / "broken_worker.py").write_text(f"{code}\n")

    async def scenario():
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(engine_process, "WORKER", "broken_worker")
        monkeypatch.setattr(limits, "ENGINE_START_S", 0.3)
        with pytest.raises(EngineLost):
            await EngineProcess.start("speak")

    asyncio.run(scenario())


def test_interpreter_that_is_gone_is_lost(monkeypatch):
    async def scenario():
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(EngineLost):
            await EngineProcess.start("speak")

    asyncio.run(scenario())
