"""The processes of `relay serve`: one that works, or one that looks after several that do.

Several workers bind the same port each for itself (SO_REUSEPORT), so the kernel spreads callers over them and a worker
that dies takes only its own with it. The parent never serves: it keeps the port, starts a worker again that died, and
hands signals on. It forks before there is an event loop or a thread.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import selectors
import signal
import socket
import ssl
import sys
import time
from collections.abc import Callable
from random import SystemRandom

from relay import limits
from relay.config import Config
from relay.errors import ConfigError
from relay.net.drain import abort, drain
from relay.net.server import listener_on, listening, open_house
from relay.net.tasks import spawn
from relay.obs import log as logs

log = logging.getLogger("relay.process")

DRAINED, FAILED, MISCONFIGURED = 0, 1, 2
"""Exit codes."""

INSIST = signal.SIGUSR1
"""The parent's word to its workers that it was signalled again. Ctrl-C reaches a whole process group and systemd a
whole control group, so a worker's second SIGTERM or SIGINT may be a copy of the first."""


def serve_alone(config: Config, dev_key: str | None) -> int:
    """Serve in this process until a signal; returns the exit code.

    Raises:
        ConfigError: address, certificate, data directory or tools cannot be used.
    """
    logs.set_up()
    listener = _listener(config, config.server.port, shared=False)
    return _work(config, dev_key, listener, lambda: _announce(config, listener), None)


def serve_together(config: Config, dev_key: str | None) -> int:
    """Look after `server.workers` processes until a signal; returns the exit code.

    Raises:
        ConfigError: the address cannot be used.
    """
    logs.set_up()
    tls_of(config)  # a certificate that cannot be used is said once, here
    keeper = _listener(config, config.server.port, shared=True)  # bound, never listening: it only keeps the port
    return Supervisor(config, dev_key, keeper).run()


class Supervisor:
    """The parent of the workers.

    Args:
        keeper: a bound socket, whose port the workers share.
    """

    def __init__(self, config: Config, dev_key: str | None, keeper: socket.socket) -> None:
        self._config = config
        self._dev_key = dev_key
        self._keeper = keeper
        self._workers: dict[int, float] = {}
        """Process id to the time of its start."""
        self._ready = 0
        self._due: list[float] = []
        """When to start workers in place of those that died."""
        self._backoff_s = limits.WORKER_BACKOFF_S
        self._stopping = False
        self._code = DRAINED

    def run(self) -> int:
        """Start all workers, wait for signals and deaths; returns when the last worker is gone."""
        wake, wake_in = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_in, False)
        signal.set_wakeup_fd(wake_in)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, lambda *_: None)
        self._ready_pipe, self._ready_in = os.pipe()
        self._lifeline_out, self._lifeline = os.pipe()  # workers notice its end when we are gone
        watch = selectors.DefaultSelector()
        watch.register(wake, selectors.EVENT_READ, self._signalled)
        watch.register(self._ready_pipe, selectors.EVENT_READ, self._reported)
        for _ in range(self._config.server.workers):
            self._start()
        while self._workers or (self._due and not self._stopping):
            wait_s = max(0.0, min(self._due) - time.monotonic()) if self._due else None
            for key, _ in watch.select(wait_s):
                key.data(os.read(key.fd, 256))
            while self._due and self._due[0] <= time.monotonic() and not self._stopping:
                self._due.pop(0)
                self._start()
        return self._code

    def _start(self) -> None:
        pid = os.fork()
        if pid:
            self._workers[pid] = time.monotonic()
            return
        code = FAILED
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            os.close(self._lifeline)
            port = self._keeper.getsockname()[1]
            listener = _listener(self._config, port, shared=True)
            code = _work(self._config, self._dev_key, listener, lambda: os.write(self._ready_in, b"."),
                         self._lifeline_out)
        except ConfigError as error:
            print(f"relay: {error}", file=sys.stderr)
            code = MISCONFIGURED
        finally:
            sys.stderr.flush()
            os._exit(code)  # the parent's own clean-up is not ours

    def _reported(self, dots: bytes) -> None:
        before, self._ready = self._ready, self._ready + len(dots)
        if before < self._config.server.workers <= self._ready:
            _announce(self._config, self._keeper)

    def _signalled(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGCHLD:
                self._bury()
            else:
                self._stop(signal.Signals(number))

    def _stop(self, number: signal.Signals) -> None:
        number = INSIST if self._stopping else number
        self._stopping = True
        for pid in self._workers:
            os.kill(pid, number)

    def _bury(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            started = self._workers.pop(pid)
            code = os.waitstatus_to_exitcode(status)
            if self._stopping:
                self._code = max(self._code, code if code >= 0 else FAILED)
            elif code == MISCONFIGURED:
                self._code = code
                self._stop(signal.SIGTERM)
            else:
                now = time.monotonic()
                if now - started > limits.WORKER_BACKOFF_MAX_S:
                    self._backoff_s = limits.WORKER_BACKOFF_S
                log.error("worker died", extra={"code": code, "again_in_s": self._backoff_s})
                self._due.append(now + self._backoff_s)
                self._backoff_s = min(2 * self._backoff_s, limits.WORKER_BACKOFF_MAX_S)


def tls_of(config: Config) -> ssl.SSLContext | None:
    """The server's TLS settings; None: plain.

    Raises:
        ConfigError: certificate or key cannot be used.
    """
    if config.server.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(config.server.tls_cert, config.server.tls_key)
    except (OSError, ssl.SSLError) as error:
        problem = error.strerror or "cannot be used"
        raise ConfigError(f"server.tls_cert: {problem}", str(config.server.tls_cert)) from None
    return context


def _work(
    config: Config, dev_key: str | None, listener: socket.socket, on_ready: Callable[[], object], lifeline: int | None
) -> int:
    """Serve on `listener` in this process until a signal, or until `lifeline` ends."""
    with logs.in_the_background(), asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(_serve(config, dev_key, listener, on_ready, lifeline))


def settle_memory() -> None:
    """What was loaded at the start stays, so the garbage collector need not walk over it again and again; and frames,
    which leave no cycles behind, need not make it run as often as it would."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(limits.GC_ALLOCATIONS_SIZE, 10, 10)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # a platform without it
        return asyncio.new_event_loop
    return uvloop.new_event_loop


async def _serve(
    config: Config, dev_key: str | None, listener: socket.socket, on_ready: Callable[[], object], lifeline: int | None
) -> int:
    loop = asyncio.get_running_loop()
    asked, insisted = asyncio.Event(), asyncio.Event()

    def stop() -> None:
        (insisted if asked.is_set() else asked).set()

    def orphaned(pipe: int) -> None:
        loop.remove_reader(pipe)
        stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop if lifeline is None else asked.set)
    if lifeline is not None:
        loop.add_signal_handler(INSIST, insisted.set)
        loop.add_reader(lifeline, orphaned, lifeline)
    port = listener.getsockname()[1]
    async with open_house(config, port=port, dev_key=dev_key) as house, listening(house, listener, tls_of(config)):
        settle_memory()
        on_ready()
        await asked.wait()
        draining = spawn(drain(house, SystemRandom()), name="drain")
        impatient = spawn(insisted.wait(), name="second signal")
        await asyncio.wait([draining, impatient], return_when=asyncio.FIRST_COMPLETED)
        impatient.cancel()
        if draining.done():
            return DRAINED
        draining.cancel()
        abort(house)
        return FAILED


def _listener(config: Config, port: int, *, shared: bool) -> socket.socket:
    try:
        return listener_on(config.server.host, port, shared=shared)
    except OSError as error:
        raise ConfigError(f"server: cannot listen on {config.server.host}:{port}: {error.strerror}") from None


def _announce(config: Config, listener: socket.socket) -> None:
    scheme = "https" if config.server.tls_cert else "http"
    host = f"[{config.server.host}]" if ":" in config.server.host else config.server.host
    print(f"relay ready on {scheme}://{host}:{listener.getsockname()[1]}", file=sys.stderr, flush=True)
