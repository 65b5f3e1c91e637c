"""What sessions leave behind: `python -m bench.sessions [--count 1000]`.

One caller after the other opens a session with `local/agent`, asks something in writing, reads the answer and leaves.
After a warm-up the relay process is measured before and after: open files and sockets, tasks, threads, memory. Exit
code 1 when something grew.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
import urllib.request
from dataclasses import astuple, dataclass
from pathlib import Path

from websockets.asyncio.client import connect

from bench.frame_cost import KEY, process

WARM_UP = 50
MAX_RSS_GROWTH_MB = 5.0


@dataclass
class Held:
    """What a process holds."""

    files: int
    sockets: int
    tasks: int
    threads: int
    rss_mb: float

    @classmethod
    def by(cls, pid: int, http: str) -> Held:
        """Look at a relay."""
        links = []
        for link in Path(f"/proc/{pid}/fd").iterdir():
            try:
                links.append(os.readlink(link))
            except OSError:
                continue
        status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        with urllib.request.urlopen(http + "/healthz") as answer:
            tasks = json.load(answer)["tasks"]
        return cls(len(links), sum(link.startswith("socket:") for link in links), tasks, int(status["Threads"]),
                   int(status["VmRSS"].split()[0]) / 1024)


async def session(url: str) -> None:
    """One caller: a written turn and its written answer."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with connect(url, additional_headers=headers, compression=None) as socket, asyncio.timeout(20):
        await until(socket, "session.created")
        item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "What time is it?"}]}
        await socket.send(json.dumps({"type": "conversation.item.create", "item": item}))
        await socket.send(json.dumps({"type": "response.create", "response": {"output_modalities": ["text"]}}))
        await until(socket, "response.done")


async def until(socket: object, kind: str) -> None:
    """Read up to an event of this type."""
    while json.loads(await socket.recv())["type"] != kind:  # type: ignore[attr-defined]
        pass


async def sequential(url: str, count: int, note: str) -> None:
    """Sessions one after the other, with their progress."""
    for n in range(count):
        await session(url)
        if sys.stderr.isatty() and n % 25 == 24:
            print(f"\r{note}: {n + 1} of {count}", end="", file=sys.stderr, flush=True)
    if sys.stderr.isatty():
        print(file=sys.stderr)


def measure(count: int, warm_up: int = WARM_UP) -> tuple[Held, Held, float]:
    """What a relay held before and after `count` sessions, and the seconds these took."""
    with tempfile.TemporaryDirectory() as folder:
        command = (sys.executable, "-c", "from relay.cli.main import main; main()", "serve", "--port", "0",
                   "--data-dir", folder)
        with process(*command, ready="relay ready", env={"RELAY_DEV_KEY": KEY}) as (pid, line):
            http = line.split()[-1]
            url = http.replace("http", "ws") + "/v1/realtime?model=local/agent"
            asyncio.run(sequential(url, warm_up, "warm-up"))
            time.sleep(1.0)
            before = Held.by(pid, http)
            started = time.monotonic()
            asyncio.run(sequential(url, count, "sessions"))
            took_s = time.monotonic() - started
            time.sleep(1.0)
            return before, Held.by(pid, http), took_s


def grown(before: Held, after: Held) -> list[str]:
    """What there is more of than there should be."""
    counts = [name for name in ("files", "sockets", "tasks", "threads") if getattr(after, name) > getattr(before, name)]
    return counts + (["rss_mb"] if after.rss_mb - before.rss_mb > MAX_RSS_GROWTH_MB else [])


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--count", type=int, default=1_000)
    options = parser.parse_args()
    before, after, took_s = measure(options.count)
    print(f"{options.count} sessions, {1000 * took_s / options.count:.1f} ms each")
    print(f"{'':8} {'files':>6} {'sockets':>8} {'tasks':>6} {'threads':>8} {'RSS MB':>8}")
    for name, held in (("before", before), ("after", after)):
        files, sockets, tasks, threads, rss_mb = astuple(held)
        print(f"{name:8} {files:6} {sockets:8} {tasks:6} {threads:8} {rss_mb:8.1f}")
    more = grown(before, after)
    print(f"grew: {', '.join(more)}" if more else "nothing grew")
    return 1 if more else 0


if __name__ == "__main__":
    sys.exit(main())
