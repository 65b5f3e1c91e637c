"""Logs: one line of `key=value` to stderr for each thing an operator should know.

Messages are static text; what varies is a field. No field ever holds a credential, a transcript, audio or a payload;
`redacted` is the belt to those braces. Control characters cannot leave their field, long values are cut.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from relay import limits

_SECRET_KEY = re.compile(r"token(?!s\b)|secret|password|authorization|cookie|credential|api_?key|jwt", re.IGNORECASE)
_SECRET_VALUE = re.compile(
    r"(?i:bearer\s+)\S+|\b(?:vcst_|ek_|sk-|rk_)[\w.-]{4,}|ai-gateway-auth\.[\w.-]+|openai-insecure-api-key\.[\w.-]+"
    r"|\beyJ[\w-]+\.[\w-]+\.[\w-]*"
)
HIDDEN = "[hidden]"


def set_up(level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Send everything that is logged, ours and the libraries', to `stream` (stderr). May be called again."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_trace,
        redacted,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
    )
    target = logging.StreamHandler(stream or sys.stderr)
    target.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [target]
    root.setLevel(level)
    # It warns with the list of subprotocols that were offered, and callers put their tokens there.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    for noisy in ("asyncio", "aiohttp.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def redacted(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """The same event without anything that looks like a credential, each value in one line and not too long."""
    for key, value in event.items():
        if key.startswith("_") or isinstance(value, (bool, int, float)):
            continue
        event[key] = HIDDEN if key != "event" and _SECRET_KEY.search(key) else _clean(str(value))
    return event


def _clean(text: str) -> str:
    text = _SECRET_VALUE.sub(HIDDEN, text[: 2 * limits.MAX_LOG_VALUE_CHARS])
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
    return text if len(text) <= limits.MAX_LOG_VALUE_CHARS else text[: limits.MAX_LOG_VALUE_CHARS] + "…"


def _without_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Of an exception its type and place only: its text and the lines of a trace may quote what a peer sent."""
    error = event.pop("exc_info", None)
    if isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        from relay.net.tasks import place

        event["error"], event["place"] = type(error).__name__, place(error)
    return event
