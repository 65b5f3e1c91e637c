"""Every end has one reason, and every reason can be said on the wire."""

from __future__ import annotations

import pytest

from relay import limits
from relay.errors import CallerError, CloseReason, ConfigError, Forbidden, TooMany, Unauthenticated, UnknownModel

UNSENDABLE = {1004, 1005, 1006, 1015}
"""RFC 6455 section 7.4.1."""


@pytest.mark.parametrize("reason", CloseReason, ids=lambda reason: reason.name)
def test_reason_has_a_code_a_status_and_words_that_fit_a_close_frame(reason: CloseReason) -> None:
    assert 1000 <= reason.ws_code <= 1014 or 3000 <= reason.ws_code <= 4999
    assert 200 <= reason.http_status < 600
    assert 0 < len(reason.text.encode()) <= limits.MAX_CLOSE_REASON_BYTES


def test_only_a_stalled_caller_is_left_without_a_close_frame() -> None:
    assert [reason for reason in CloseReason if reason.ws_code in UNSENDABLE] == [CloseReason.CALLER_STALLED]


def test_reasons_are_told_apart() -> None:
    assert len(CloseReason) == len({reason.text for reason in CloseReason})
    assert CloseReason.MODEL_LOST.code == "model_lost"


@pytest.mark.parametrize(
    ("error", "status", "type_"),
    [
        (CallerError("x"), 400, "invalid_request_error"),
        (Unauthenticated("x"), 401, "authentication_error"),
        (Forbidden("x"), 403, "forbidden"),
        (UnknownModel("x"), 404, "model_not_found"),
        (TooMany("x"), 429, "rate_limit_exceeded"),
        (TooMany("x", status=503, retry_after_s=9), 503, "rate_limit_exceeded"),
    ],
)
def test_callers_mistake_has_its_status_and_type(error: CallerError, status: int, type_: str) -> None:
    assert (error.status, error.type) == (status, type_)


def test_configuration_error_names_its_place() -> None:
    assert str(ConfigError("unknown key", "relay.toml", 3)) == "relay.toml:3: unknown key"
    assert str(ConfigError("not set", "RELAY_KEYS")) == "RELAY_KEYS: not set"
    assert str(ConfigError("bad")) == "bad"
