"""Logs: one line of `key=value` to stderr for each thing an operator should know.

Messages are static text; what varies is a field (`extra={…}`). No field ever holds a credential, a transcript, audio
or a payload; `_clean` is the belt to those braces. Control characters cannot leave their field, long values are cut.
The standard library does it all: structlog would bring `rich` along, 5 MB and a tenth of a second at every start.
"""

from __future__ import annotations

import logging
import logging.handlers
import queue
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from relay import limits
from relay.net.tasks import place

_SECRET_KEY = re.compile(r"token(?!s\b)|secret|password|authorization|cookie|credential|api_?key|jwt", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"(?i:bearer\s+)\S+|\b(?:vcst_|ek_|sk-|rk_)[\w.-]{4,}|ai-gateway-auth\.[\w.-]+|openai-insecure-api-key\.[\w.-]+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)
HIDDEN = "[hidden]"

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
"""Attributes that every record has; the others are fields."""


class Line(logging.Formatter):
    """A record as `at=… level=… logger=… event=… field=…`.

    Of an exception its type and place only: its text and the lines of a trace may quote what a peer sent.
    """

    def format(self, record: logging.LogRecord) -> str:
        at = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03}Z"
        fields = {"at": at, "level": record.levelname.lower(), "logger": record.name, "event": record.getMessage()}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            fields |= {"error": type(error).__name__, "place": place(error)}
        for name, value in vars(record).items():
            if name not in _STANDARD:
                fields[name] = HIDDEN if _SECRET_KEY.search(name) else str(value)
        return " ".join(f"{name}={_quoted(_clean(value))}" for name, value in fields.items())


def set_up(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send everything that is logged, ours and the libraries', to `stream` (stderr). May be called again."""
    target = logging.StreamHandler(stream or sys.stderr)
    target.setFormatter(Line())
    root = logging.getLogger()
    root.handlers = [target]
    root.setLevel(level)
    # It warns with the list of subprotocols that were offered, and callers put their tokens there.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    for noisy in ("asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


@contextmanager
def in_the_background() -> Iterator[None]:
    """Write logs from a thread while the block runs: whoever reads our stderr slowly must not hold up a frame.

    When limits.MAX_WAITING_LOG_EVENTS wait, further ones are dropped.
    """
    root = logging.getLogger()
    targets = root.handlers
    lines: queue.Queue[logging.LogRecord | None] = queue.Queue(limits.MAX_WAITING_LOG_EVENTS)
    writer = _Writer(lines, targets)
    root.handlers = [_Droppable(lines)]
    writer.start()
    try:
        yield
    finally:
        root.handlers = targets
        writer.stop()


class _Droppable(logging.handlers.QueueHandler):
    """Puts records into the queue as they are, or nowhere when it is full."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        return record

    def handleError(self, record: logging.LogRecord) -> None:
        """The queue is full."""


class _Writer(threading.Thread):
    """Hands records to the targets, one after the other."""

    def __init__(self, lines: queue.Queue[logging.LogRecord | None], targets: list[logging.Handler]) -> None:
        super().__init__(name="logs", daemon=True)
        self._lines = lines
        self._targets = targets

    def run(self) -> None:
        while (record := self._lines.get()) is not None:
            for target in self._targets:
                target.handle(record)

    def stop(self) -> None:
        """Write what still waits; give up after limits.CLOSE_DEADLINE_S."""
        with suppress(queue.Full):
            self._lines.put(None, timeout=limits.CLOSE_DEADLINE_S)
        self.join(limits.CLOSE_DEADLINE_S)


def _clean(text: str) -> str:
    """Nothing that looks like a credential, in one line, not too long."""
    text = _SECRET_VALUE.sub(HIDDEN, text[: 2 * limits.MAX_LOG_VALUE_CHARS])
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= limits.MAX_LOG_VALUE_CHARS else text[: limits.MAX_LOG_VALUE_CHARS] + "…"


def _quoted(text: str) -> str:
    if text and not re.search(r'[\s="]', text):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
