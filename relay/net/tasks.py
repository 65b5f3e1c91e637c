"""The one place where tasks are made.

`asyncio.create_task` keeps only a weak reference, so a task can vanish in mid-work, and an exception that nobody asks
for is reported when the garbage collector comes by. Everything that must run on its own therefore starts here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

log = logging.getLogger("relay.tasks")

_running: set[asyncio.Task[Any]] = set()
"""Strong references; a task leaves when it is done."""


def spawn(coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Run `coro` on its own, named and referenced until it is done.

    An exception that ends it is retrieved and logged by type and place, without its text, which may quote what a peer
    sent. Whoever awaits the task gets the exception as well.
    """
    task = asyncio.get_running_loop().create_task(coro, name=name)
    _running.add(task)
    task.add_done_callback(_done)
    return task


def running() -> frozenset[asyncio.Task[Any]]:
    """Tasks that were spawned and are not done; for tests and the drain."""
    return frozenset(_running)


def _done(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    if task.cancelled():
        return
    error = task.exception()
    if error is not None:
        log.error("task failed", extra={"task": task.get_name(), "error": type(error).__name__, "place": place(error)})


def place(error: BaseException) -> str:
    """File and line at which `error` was raised; unlike its text this quotes nobody."""
    trace = error.__traceback__
    if trace is None:
        return "unknown"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
