"""`relay serve` as processes: ready, drained, killed, several of them. Every test runs the real program."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosedError
from websockets.sync.client import connect

KEY = "rk_test"
MAIN = "from relay.cli.main import main; main()"


class Program:
    """A relay in a process of its own."""

    def __init__(self, folder: Path, *options: str, env: dict[str, str] | None = None, own_group: bool = False) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", MAIN, "serve", "--port", "0", "--data-dir", str(folder / "data"), *options],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "RELAY_DEV_KEY": KEY, **(env or {})},
            start_new_session=own_group)
        self.lines: list[str] = []

    def ready(self) -> int:
        """Wait for the ready line; returns the port."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line)
            if line.startswith("relay ready on "):
                return int(line.rpartition(":")[2])
        raise AssertionError(f"not ready: {self.lines}")

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def code(self) -> int:
        """Wait for the end; returns the exit code."""
        assert self.process.stderr is not None
        self.lines += self.process.stderr.readlines()
        return self.process.wait(10)

    def workers(self) -> set[int]:
        """Process ids of the children."""
        pid = self.process.pid
        return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


@contextlib.contextmanager
def program(
    folder: Path, *options: str, env: dict[str, str] | None = None, own_group: bool = False
) -> Iterator[Program]:
    made = Program(folder, *options, env=env, own_group=own_group)
    try:
        yield made
    finally:
        for pid in made.workers() if made.process.poll() is None else ():
            os.kill(pid, signal.SIGKILL)
        made.process.kill()
        made.process.wait()
        assert made.process.stderr is not None
        made.process.stderr.close()


def call(port: int) -> connect:
    return connect(f"ws://127.0.0.1:{port}/v1/realtime?model=local/agent",
                   additional_headers={"Authorization": f"Bearer {KEY}"}, compression=None)


def test_signal_drains_and_exits_with_0(tmp_path: Path) -> None:
    with program(tmp_path) as relay:
        with call(relay.ready()) as socket_:
            assert "session.created" in socket_.recv(5)
            relay.signal(signal.SIGTERM)
            with pytest.raises(ConnectionClosedError):
                list(socket_)
            assert socket_.close_code == 1012
        assert relay.code() == 0
    assert not [line for line in relay.lines if KEY in line]


def test_second_signal_does_not_wait_and_exits_with_1(tmp_path: Path) -> None:
    with program(tmp_path) as relay, call(relay.ready()) as socket_:
        socket_.recv(5)
        relay.signal(signal.SIGTERM)
        time.sleep(0.05)
        started = time.monotonic()
        relay.signal(signal.SIGTERM)
        assert relay.code() == 1
        assert time.monotonic() - started < 5


def test_workers_share_a_port_and_one_that_dies_is_replaced(tmp_path: Path) -> None:
    with program(tmp_path, "--workers", "2") as relay:
        port = relay.ready()
        before = relay.workers()
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)
        until = time.monotonic() + 10
        while not (len(relay.workers()) == 2 and min(before) not in relay.workers()):
            assert time.monotonic() < until
            time.sleep(0.05)
        with call(port) as socket_:
            assert "session.created" in socket_.recv(5)
        relay.signal(signal.SIGTERM)
        assert relay.code() == 0


def test_workers_drain_when_the_whole_process_group_is_signalled(tmp_path: Path) -> None:
    with program(tmp_path, "--workers", "2", own_group=True) as relay, call(relay.ready()) as socket_:
        assert "session.created" in socket_.recv(5)
        os.killpg(relay.process.pid, signal.SIGTERM)
        with pytest.raises(ConnectionClosedError):
            list(socket_)
        assert socket_.close_code == 1012
        assert relay.code() == 0


def test_second_signal_does_not_wait_for_workers_either(tmp_path: Path) -> None:
    with program(tmp_path, "--workers", "2", own_group=True) as relay, call(relay.ready()) as socket_:
        socket_.recv(5)
        os.killpg(relay.process.pid, signal.SIGTERM)
        time.sleep(0.05)
        started = time.monotonic()
        os.killpg(relay.process.pid, signal.SIGTERM)
        assert relay.code() == 1
        assert time.monotonic() - started < 5


def test_workers_leave_when_their_parent_is_killed(tmp_path: Path) -> None:
    with program(tmp_path, "--workers", "2") as relay:
        relay.ready()
        workers = relay.workers()
        relay.signal(signal.SIGKILL)
        relay.process.wait(5)
        until = time.monotonic() + 10
        while any(running(pid) for pid in workers):
            assert time.monotonic() < until
            time.sleep(0.05)


def running(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_tls_serves_wss_only(tmp_path: Path) -> None:
    import ssl

    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", tmp_path / "key.pem",
                    "-out", tmp_path / "cert.pem"], check=True, capture_output=True)
    with program(tmp_path, "--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")) as relay:
        port = relay.ready()
        assert "https://127.0.0.1" in relay.lines[-1]
        trust = ssl.create_default_context(cafile=tmp_path / "cert.pem")
        with connect(f"wss://127.0.0.1:{port}/v1/realtime?model=local/agent", ssl=trust,
                     additional_headers={"Authorization": f"Bearer {KEY}"}, compression=None) as socket_:
            assert "session.created" in socket_.recv(5)
            socket_.send('{"type":"response.create"}')
            assert socket_.recv(5)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_address_in_use_is_a_configuration_error(tmp_path: Path, workers: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with program(tmp_path, "--port", str(taken.getsockname()[1]), "--workers", workers) as relay:
            assert relay.code() == 2
    assert "cannot listen on 127.0.0.1" in "".join(relay.lines)


def test_worker_that_cannot_start_is_not_started_again(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a directory should be")
    with program(tmp_path, "--workers", "2") as relay:
        assert relay.code() == 2
    assert "server.data_dir" in "".join(relay.lines)


def test_certificate_that_cannot_be_read_is_a_configuration_error(tmp_path: Path) -> None:
    with program(tmp_path, "--tls-cert", "/nowhere.pem", "--tls-key", "/nowhere.pem") as relay:
        assert relay.code() == 2
    assert "tls_cert" in "".join(relay.lines)
