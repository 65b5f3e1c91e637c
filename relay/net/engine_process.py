"""One engine process of ours, as seen from the relay: started, asked, killed when it does not answer."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import relay
from relay import limits
from relay.providers.local.messages import PREFIX, Message, lengths, pack, unpack

WORKER = "relay.providers.local.worker"
KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
"""Nothing else of ours reaches a process that runs native code on what strangers say."""


class EngineLost(Exception):
    """The process died, hangs or does not speak the protocol. It was killed."""


class EngineProcess:
    """A child that does one piece of work at a time. Made by `start`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None, "opened with pipes"
        assert process.stdout is not None, "opened with pipes"
        self._process = process
        self._stdin, self._stdout = process.stdin, process.stdout

    @classmethod
    async def start(cls, kind: str) -> EngineProcess:
        """Start an engine of a kind (`listen`, `speak`) and wait until its models are loaded.

        Raises:
            EngineLost: it cannot be started, or is not ready within limits.ENGINE_START_S.
        """
        environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        environment["PYTHONPATH"] = str(Path(relay.__file__).parents[1])
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                WORKER,
                kind,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
                start_new_session=True,  # Ctrl-C is for the relay, which drains first
            )
        except OSError as error:
            raise EngineLost("cannot be started") from error
        self = cls(process)
        try:
            await self.receive(limits.ENGINE_START_S)
        except BaseException:
            await self.stop()
            raise
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """False once it is known to have died."""
        return self._process.returncode is None

    def send(self, head: dict[str, Any], tail: bytes = b"") -> None:
        """Give it a message. At most one second of audio or one clause: it fits into the pipe."""
        self._stdin.write(pack(head, tail))

    async def receive(self, deadline_s: float | None = None) -> Message:
        """Its next message, within limits.ENGINE_REPLY_S unless said otherwise.

        Raises:
            EngineLost: there is none in time, or no process any more.
        """
        try:
            async with asyncio.timeout(deadline_s or limits.ENGINE_REPLY_S):
                head, tail = lengths(await self._stdout.readexactly(PREFIX.size))
                return unpack(await self._stdout.readexactly(head + tail), head)
        except (TimeoutError, EOFError, OSError, ValueError) as error:
            self.kill()
            raise EngineLost("did not answer") from error

    async def ask(self, head: dict[str, Any], tail: bytes = b"") -> dict[str, Any]:
        """Send, and receive the one answer. Raises as `receive`."""
        self.send(head, tail)
        return (await self.receive()).head

    def kill(self) -> None:
        """End it at once."""
        if self.alive:
            self._process.kill()

    async def stop(self) -> None:
        """End it and wait until nothing of it is left."""
        self.kill()
        self._stdin.close()
        await self._process.wait()
