"""Everything that can go wrong, and every way in which a session ends.

    RelayError                 somebody has to know
    ├── ConfigError            the operator's mistake: names the file, the line and the key; exit code 2
    ├── CallerError            the caller's mistake before a session exists; carries an HTTP status
    │   ├── Unauthenticated    401
    │   ├── Forbidden          403
    │   ├── UnknownModel       404
    │   └── TooMany            429 or 503, with Retry-After
    └── ModelError             the model's side failed; `retryable` says whether another try makes sense

Inside a session nothing is raised for what a peer sent: it is a `Rejected` or `Failed` event, and every end has
exactly one `CloseReason`. Imports nothing of ours.
"""

from __future__ import annotations

from enum import Enum


class RelayError(Exception):
    """Base of all our exceptions. The text may be shown to whoever caused it."""


class ConfigError(RelayError):
    """A configuration that cannot be run with.

    Args:
        message: what is wrong, without the place.
        path: the file, or the name of the environment variable or option.
        line: line number in the file, counted from 1, where it is known.
    """

    def __init__(self, message: str, path: str | None = None, line: int | None = None) -> None:
        place = f"{path}:{line}: " if path and line else f"{path}: " if path else ""
        super().__init__(place + message)
        self.path = path
        self.line = line


class CallerError(RelayError):
    """The caller asked for something that it cannot have; no session came to be."""

    status = 400
    type = "invalid_request_error"
    code: str = "invalid_request"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code or type(self).code
        self.param = param
        self.retry_after_s: int | None = None


class Unauthenticated(CallerError):
    """No credential, or one that is not good (any more)."""

    status = 401
    type = "authentication_error"
    code = "invalid_api_key"


class Forbidden(CallerError):
    """A good credential that does not allow this."""

    status = 403
    type = "forbidden"
    code = "forbidden"


class UnknownModel(CallerError):
    """No model, agent or route has this name."""

    status = 404
    type = "model_not_found"
    code = "model_not_found"


class TooMany(CallerError):
    """A limit of the caller (429) or of the relay (503) is reached; try again later."""

    status = 429
    type = "rate_limit_exceeded"
    code = "rate_limit_exceeded"

    def __init__(self, message: str, *, retry_after_s: int = 1, status: int = 429) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


class ModelError(RelayError):
    """The model's side could not be reached or broke."""

    def __init__(self, message: str, *, retryable: bool, code: str = "model_unavailable") -> None:
        super().__init__(message)
        self.retryable = retryable
        self.code = code


class CloseReason(Enum):
    """Why a session ended: (WebSocket close code, HTTP status before an upgrade, retryable, what the caller reads).

    The codes follow RFC 6455 section 7.4.1 and the IANA registry (1012 to 1014).
    """

    DONE = (1000, 200, False, "The session is over.")
    CALLER_LEFT = (1000, 200, False, "The caller left.")
    MODEL_ENDED = (1000, 200, True, "The model ended the session.")
    GOING_AWAY = (1012, 503, True, "The relay is being restarted; reconnect.")
    BAD_FRAME = (1008, 400, False, "Too many frames that this protocol does not allow.")
    BINARY_FRAME = (1003, 400, False, "This protocol has text frames only.")
    TOO_LARGE = (1009, 413, False, "A message is larger than this endpoint accepts.")
    UNAUTHENTICATED = (1008, 401, False, "The credential is missing, wrong, expired or already used.")
    FORBIDDEN = (1008, 403, False, "The credential does not allow this.")
    ORIGIN_REFUSED = (1008, 403, False, "This origin is not allowed.")
    REVOKED = (1008, 401, False, "The credential was revoked.")
    UNKNOWN_MODEL = (1008, 404, False, "There is no model of this name.")
    BAD_SETTINGS = (1008, 400, False, "The session cannot be opened with these settings.")
    TOO_FAST = (1008, 429, True, "Audio or messages arrive faster than this endpoint accepts.")
    FULL = (1013, 503, True, "The relay is full; try again shortly.")
    SLOW_CALLER = (1013, 503, True, "The caller reads more slowly than the answer is spoken.")
    CALLER_STALLED = (1006, 408, True, "The caller stopped reading.")
    SETUP_TIMEOUT = (1008, 408, True, "No session settings arrived in time.")
    IDLE = (1000, 408, True, "Nothing was said for the idle limit.")
    MAX_DURATION = (1001, 408, True, "The session hit its maximum duration.")
    MODEL_UNAVAILABLE = (1014, 502, True, "The model cannot be reached.")
    MODEL_LOST = (1014, 502, True, "The connection to the model was lost.")
    BETA_SHAPE = (4000, 400, False, "The beta shape of this protocol is not supported; use the GA shape.")
    INTERNAL = (1011, 500, True, "The relay failed.")

    def __init__(self, ws_code: int, http_status: int, retryable: bool, text: str) -> None:
        self.ws_code = ws_code
        self.http_status = http_status
        self.retryable = retryable
        self.text = text

    @property
    def code(self) -> str:
        """The name that error events and metrics carry."""
        return self.name.lower()
