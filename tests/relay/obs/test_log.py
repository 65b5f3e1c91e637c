"""Logs: one line each, no secrets, no way to forge a line."""

import io
import logging
import re
import threading
from collections.abc import Iterator

import pytest

from relay import limits
from relay.obs import log


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers, root.level
    stream = io.StringIO()
    log.set_up(stream=stream)
    yield stream
    root.handlers, root.level = before


def test_message_and_fields_become_one_line(lines: io.StringIO) -> None:
    logging.getLogger("relay.x").info("call ended", extra={"reason": "done", "seconds": 3})
    (line,) = lines.getvalue().splitlines()
    assert 'level=info logger=relay.x event="call ended"' in line
    assert "reason=done" in line
    assert "seconds=3" in line
    assert re.match(r"at=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ", line)


@pytest.mark.parametrize("field", [
    "token", "api_key", "apikey", "Authorization", "client_secret", "password", "cookie"])
def test_field_named_like_a_credential_is_hidden(lines: io.StringIO, field: str) -> None:
    logging.getLogger().warning("x", extra={field: "canary-4711"})
    assert "canary-4711" not in lines.getvalue()
    assert log.HIDDEN in lines.getvalue()


@pytest.mark.parametrize("value", [
    "Bearer canary4711", "vcst_canary4711", "ek_canary4711", "sk-canary4711", "realtime, ai-gateway-auth.canary4711",
    "openai-insecure-api-key.canary4711", "eyJcanary4711.abc.def"])
def test_value_that_looks_like_a_credential_is_hidden(lines: io.StringIO, value: str) -> None:
    logging.getLogger().warning("offered %s", value, extra={"field": value})
    assert "canary4711" not in lines.getvalue()


def test_line_breaks_and_escapes_stay_in_their_field(lines: io.StringIO) -> None:
    logging.getLogger().warning("x", extra={"name_pii": "a\r\nlevel=error \x1b[31m\u2028b"})
    assert len(lines.getvalue().splitlines()) == 1
    assert "\x1b" not in lines.getvalue()


def test_long_value_is_cut(lines: io.StringIO) -> None:
    logging.getLogger().warning("x", extra={"value": "y" * 1_000_000})
    assert len(lines.getvalue()) < limits.MAX_LOG_VALUE_CHARS + 200


def test_exception_is_logged_by_type_and_place_without_its_text(lines: io.StringIO) -> None:
    try:
        raise ValueError("said by a peer")
    except ValueError:
        logging.getLogger().exception("failed")
    assert "error=ValueError" in lines.getvalue()
    assert "place=test_log.py:" in lines.getvalue()
    assert "peer" not in lines.getvalue()


def test_library_that_prints_offered_subprotocols_is_silent(lines: io.StringIO) -> None:
    logging.getLogger("aiohttp.websocket").warning("Client protocols %r", ["secret"])
    assert not lines.getvalue()


def test_value_with_a_quote_or_a_space_stays_one_field(lines: io.StringIO) -> None:
    logging.getLogger().warning("x", extra={"field": 'a" level="error'})
    assert 'field="a\\" level=\\"error"' in lines.getvalue()


class SlowReader(io.StringIO):
    """Takes nothing until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = threading.Event()

    def write(self, text: str) -> int:
        self.gate.wait(5)
        return super().write(text)


def test_slow_reader_of_the_logs_holds_nobody_up_and_misses_what_is_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_WAITING_LOG_EVENTS", 10)
    root = logging.getLogger()
    before = root.handlers, root.level
    stream = SlowReader()
    log.set_up(stream=stream)
    try:
        with log.in_the_background():
            for n in range(50):
                root.warning("line", extra={"n": n})
            stream.gate.set()
    finally:
        root.handlers, root.level = before
    numbers = [int(line.rpartition("=")[2]) for line in stream.getvalue().splitlines()]
    assert numbers[0] == 0
    assert 10 <= len(numbers) <= 12
