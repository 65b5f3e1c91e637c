"""What a model reads of a tool: its output within bounds, or an error in words, and no secrets in either."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import orjson

from relay import limits
from relay.errors import ConfigError, RelayError

MIN_SECRET_CHARS = 6
"""Shorter values of the environment ("1", "true") are no secrets, and hiding them would garble answers."""


class ToolFailed(RelayError):
    """A tool gave no result. The text is for the model: what went wrong, nothing about how the relay is set up."""


def failure(message: str) -> str:
    """The output of a call that failed: a JSON object with one member, `error`."""
    return orjson.dumps({"error": message[: limits.MAX_TOOL_ERROR_CHARS]}).decode()


def bounded(output: str, *, more: bool = False) -> str:
    """`output` with at most limits.MAX_TOOL_OUTPUT_BYTES as UTF-8; what was cut, or has `more` unread, says so."""
    raw = output.encode("utf-8", "replace")
    if len(raw) <= limits.MAX_TOOL_OUTPUT_BYTES and not more:
        return output
    notice = f"\n[cut: the tool returned more than {limits.MAX_TOOL_OUTPUT_BYTES} bytes]"
    return raw[: limits.MAX_TOOL_OUTPUT_BYTES - len(notice)].decode("utf-8", "ignore") + notice


def hide(text: str, secrets: Iterable[str]) -> str:
    """`text` without the secrets that a tool was given and may have repeated, whole or without their scheme."""
    for secret in secrets:
        for form in (secret, secret.rpartition(" ")[2]):
            if len(form) >= MIN_SECRET_CHARS:
                text = text.replace(form, "[hidden]")
    return text


def from_environment(where: str, names: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """Read what a table of the configuration takes from the environment.

    Args:
        where: the table, for the message (`tools.weather.headers_env`).
        names: key to the name of the variable that holds its value.
        environ: the environment.

    Raises:
        ConfigError: a variable is not set.
    """
    values = {}
    for key, variable in names.items():
        if variable not in environ:
            raise ConfigError(f"{where}.{key}: the environment variable {variable} is not set")
        values[key] = environ[variable].strip()
    return values
