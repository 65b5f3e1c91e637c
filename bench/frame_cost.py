"""CPU per forwarded frame: the relay (OpenAI caller, simulated OpenAI upstream) beside HAProxy with the same bytes.

    python -m bench.frame_cost [--sessions 40] [--seconds 3] [--rounds 3]

Every session sends a frame of 20 ms (1.3 kB of JSON) fifty times a second and gets as many back. What is printed is CPU
time of the forwarding process per frame and way, and the ratio; only the ratio means anything, and only within one run.
All stand side by side and are measured in turns; the median of the rounds counts:

* HAProxy in TCP mode (or, without it, a bare asyncio splice);
* the relay with the model owning turn detection: frames are echoed, both ways through the whole session;
* the relay owning turn detection: callers' frames are decoded, resampled and looked at by the gate (low noise, so that
  the judge is not asked), the model's flow at 50 a second.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import websockets
from websockets.asyncio.client import ClientConnection, connect

KEY = "rk_bench"
FRAME_S = 0.02


@contextlib.contextmanager
def process(*command: str, ready: str = "ready", env: dict[str, str] | None = None) -> Iterator[tuple[int, str]]:
    """Run a command until the block ends; yields its process id and the line with `ready` in it."""
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(
        command, stderr=said, env={**os.environ, **(env or {})}
    ) as child:
        try:
            line = ""
            while ready and not line:
                if child.poll() is not None:
                    raise RuntimeError(f"{command[:4]} did not start")
                time.sleep(0.02)
                said.seek(0)
                line = next((line for line in said if ready in line), "")
            yield child.pid, line.strip()
        finally:
            child.send_signal(signal.SIGKILL)


def cpu_s(pid: int) -> float:
    """CPU time of a process so far, all threads, in seconds."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


async def caller(url: str, until: float, frame: str, counts: list[int]) -> None:
    """One session: a frame every 20 ms, and everything that comes back is counted."""
    headers = {"Authorization": f"Bearer {KEY}"}
    async with connect(url, additional_headers=headers, compression=None, max_size=None, ping_interval=None) as socket:
        await socket.recv()
        await socket.send(json.dumps({"type": "session.update", "session": {"type": "realtime"}}))
        reading = asyncio.create_task(count(socket, counts))
        await asyncio.sleep(random.uniform(0, FRAME_S))
        due = time.monotonic()
        while due < until:
            await socket.send(frame)
            counts[0] += 1
            due += FRAME_S
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        reading.cancel()


async def count(socket: ClientConnection, counts: list[int]) -> None:
    with contextlib.suppress(websockets.ConnectionClosed):
        async for message in socket:
            if "output_audio.delta" in message[:60]:
                counts[1] += 1


async def measure(url: str, pid: int, sessions: int, seconds: float) -> tuple[float, list[int]]:
    """Microseconds of CPU per frame and way, after a second to settle; and the frames there and back."""
    noise = random.Random(7)
    pcm = b"".join(noise.randint(-60, 60).to_bytes(2, "little", signed=True) for _ in range(480))
    frame = json.dumps({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})
    counts = [0, 0]
    until = time.monotonic() + seconds + 2.0
    callers = [asyncio.create_task(caller(url, until, frame, counts)) for _ in range(sessions)]
    await asyncio.sleep(1.5)
    before, there, back = cpu_s(pid), counts[0], counts[1]
    await asyncio.sleep(seconds)
    used = cpu_s(pid) - before
    counts = [counts[0] - there, counts[1] - back]
    await asyncio.gather(*callers, return_exceptions=True)
    failed = [task.exception() for task in callers if task.exception()]
    if failed:
        raise RuntimeError(f"{len(failed)} callers failed, the first with: {failed[0]!r}")
    return used * 1e6 / max(1, sum(counts)), counts


def relay_config(port: int, owner: str, folder: str) -> str:
    """A configuration with the simulated upstream as provider `sim`."""
    path = Path(folder) / f"{owner}.toml"
    path.write_text(
        f'[server]\nport = 0\ndata_dir = "{folder}/data-{owner}"\n'
        f'[providers.sim]\nbase_url = "http://127.0.0.1:{port}/v1"\nturn_detection_owner = "{owner}"\n')
    return str(path)


@contextlib.contextmanager
def splice(upstream: int, folder: str) -> Iterator[tuple[int, str]]:
    """What the relay is compared with: yields its process id and its URL."""
    if shutil.which("haproxy"):
        port = free_port()
        path = Path(folder) / "haproxy.cfg"
        path.write_text(
            "global\n  nbthread 1\n  maxconn 2000\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n"
            f"  timeout server 60s\nlisten splice\n  bind 127.0.0.1:{port}\n  server up 127.0.0.1:{upstream}\n")
        with process("haproxy", "-db", "-f", str(path), ready="") as (pid, _):
            time.sleep(0.5)
            yield pid, f"ws://127.0.0.1:{port}/v1/realtime?model=x"
    else:
        with process(sys.executable, "-m", "bench.frame_cost", "--splice", str(upstream)) as (pid, line):
            yield pid, f"ws://127.0.0.1:{line.rpartition(' ')[2]}/v1/realtime?model=x"


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def bare_splice(upstream: int) -> None:
    """Forward bytes between two sockets, with nothing in between."""

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", upstream)
        await asyncio.gather(pipe(reader, up_writer), pipe(up_reader, writer), return_exceptions=True)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    print(f"splice ready on {server.sockets[0].getsockname()[1]}", file=sys.stderr, flush=True)
    await server.serve_forever()


def relay(config: str) -> contextlib.AbstractContextManager[tuple[int, str]]:
    """The relay under test."""
    return process(sys.executable, "-c", "from relay.cli.main import main; main()", "serve", "--config", config,
                   ready="relay ready", env={"RELAY_DEV_KEY": KEY})


def url_of(line: str) -> str:
    """The realtime door of a relay that said `line`."""
    return line.split()[-1].replace("http", "ws") + "/v1/realtime?model=sim/x"


def compare(sessions: int, seconds: float, rounds: int) -> dict[str, list[float]]:
    """Cost by what was measured, one entry a round: microseconds per frame and way."""
    name = "HAProxy, TCP mode" if shutil.which("haproxy") else "bare asyncio splice"
    sim = (sys.executable, "-m", "bench.upstreams.openai_sim", "--mode")
    costs: dict[str, list[float]] = {}
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        ports = [int(stack.enter_context(process(*sim, mode))[1].rpartition(":")[2].partition("/")[0])
                 for mode in ("echo", "pour")]
        forwarders = {name: stack.enter_context(splice(ports[0], folder))}
        for owner, port in zip(("model", "relay"), ports, strict=True):
            pid, line = stack.enter_context(relay(relay_config(port, owner, folder)))
            forwarders[f"relay, {owner} owns turns"] = pid, url_of(line)
        for number in range(rounds):
            for label, (pid, url) in forwarders.items():
                cost, (there, back) = asyncio.run(measure(url, pid, sessions, seconds))
                costs.setdefault(label, []).append(cost)
                print(f"  round {number + 1}: {label:24} {cost:6.1f} us  ({there} there, {back} back)", flush=True)
    return costs


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--splice", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.splice:
        asyncio.run(bare_splice(options.splice))
        return
    print(f"{options.sessions} sessions, {options.seconds:g} s a round, CPU per frame and way")
    costs = compare(options.sessions, options.seconds, options.rounds)
    base = next(iter(costs.values()))
    for label, rounds in costs.items():
        ratio = statistics.median(cost / beside for cost, beside in zip(rounds, base, strict=True))
        print(f"  {label:24} {statistics.median(rounds):6.1f} us  {ratio:5.2f} x")


if __name__ == "__main__":
    main()
