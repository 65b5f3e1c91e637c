"""spawn: named, referenced, exceptions retrieved."""

import asyncio
import gc
import logging

import pytest

from relay.net.tasks import running, spawn


def test_spawned_task_is_named_and_referenced_until_done() -> None:
    async def scenario() -> None:
        gate = asyncio.Event()
        name = spawn(gate.wait(), name="waits").get_name()
        gc.collect()
        assert [task.get_name() for task in running()] == [name] == ["waits"]
        gate.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not running()

    asyncio.run(scenario())


def test_failing_task_is_logged_without_the_text_of_the_exception(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ValueError("said by a peer")

    async def scenario() -> None:
        task = spawn(fails(), name="fails")
        await asyncio.wait([task])
        await asyncio.sleep(0)

    with caplog.at_level(logging.ERROR, logger="relay.tasks"):
        asyncio.run(scenario())
    (record,) = caplog.records
    assert record.getMessage() == "task failed"
    assert record.__dict__["task"] == "fails"
    assert record.__dict__["error"] == "ValueError"
    assert record.__dict__["place"].startswith("test_tasks.py:")
    assert "peer" not in str(record.__dict__)


def test_cancelled_task_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        task = spawn(asyncio.sleep(10), name="cancelled")
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(scenario())
    assert not caplog.records
