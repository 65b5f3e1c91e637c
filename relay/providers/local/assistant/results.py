"""A tool's output in words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from relay.providers.local.assistant.numbers import spoken
from relay.providers.local.assistant.words import plain

MAX_FACTS = 8
"""More than this nobody listens to."""
MAX_TEXT_CHARS = 600
_UNITS = {
    "c": "degrees Celsius", "celsius": "degrees Celsius", "f": "degrees Fahrenheit", "fahrenheit": "degrees Fahrenheit",
    "percent": "percent", "pct": "percent", "km": "kilometres", "kmh": "kilometres an hour",
    "mph": "miles an hour", "mm": "millimetres", "cm": "centimetres", "hpa": "hectopascals", "usd": "dollars",
    "eur": "euros", "min": "minutes", "minutes": "minutes", "ms": "milliseconds", "kg": "kilograms",
}  # fmt: skip
_WRAPPERS = ("result", "results", "data", "output", "response", "value")


def in_words(results: Sequence[tuple[str, str]]) -> str:
    """What came back, as sentences that hold every value. `results` are (tool name, output) pairs."""
    return " ".join(_one(name, output) for name, output in results)


def _one(name: str, output: str) -> str:
    tool = plain(name)
    try:
        value = orjson.loads(output)
    except orjson.JSONDecodeError:
        value = output.strip()
    value = _unwrapped(value)
    error = _error_in(value)
    if error is not None:
        return f"The tool {tool} failed{': ' + _sentence(error) if error else '.'}"
    if value is None or value == "" or value == {} or value == []:
        return f"The tool {tool} is done, and gave no details."
    if isinstance(value, Mapping):
        facts = [(key, fact) for key, fact in _facts(value) if key != "error"]  # it was null
        listed = [f"the {key} is {fact}" for key, fact in facts[:MAX_FACTS]]
        more = f" There are {len(facts) - MAX_FACTS} more details." if len(facts) > MAX_FACTS else ""
        return _sentence(_listed(listed)) + more
    return _sentence(_said(value))


def _unwrapped(value: Any) -> Any:
    """What is inside of {"result": …} and the like."""
    for _ in range(3):
        if isinstance(value, Mapping) and len(value) == 1 and next(iter(value)) in _WRAPPERS:
            value = next(iter(value.values()))
    return value


def _error_in(value: Any) -> str | None:
    """What went wrong, "" when that is not said, None when nothing did."""
    if not isinstance(value, Mapping):
        return None
    error = value.get("error")
    if isinstance(error, Mapping):
        error = error.get("message") or ""
    if error:
        return str(error) if isinstance(error, str) else str(value.get("message") or "")
    return str(value.get("message") or "") if value.get("ok") is False or value.get("success") is False else None


def _facts(value: Mapping[str, Any], of: str = "") -> Iterator[tuple[str, str]]:
    """(what, how much) of everything in nested objects."""
    for key, member in value.items():
        words = plain(key).split()
        unit = _UNITS.get(words[-1], "") if len(words) > 1 and _is_number(member) else ""
        name = " ".join(filter(None, [of, " ".join(words[:-1] if unit else words)]))
        if isinstance(member, Mapping) and member:
            yield from _facts(member, name)
        else:
            yield name, f"{_said(member)} {unit}".rstrip()


def _said(value: Any) -> str:
    match value:
        case None:
            return "unknown"
        case bool():
            return "yes" if value else "no"
        case int() | float():
            return spoken(value)
        case str():
            return re.sub(r"\s+", " ", value).strip()[:MAX_TEXT_CHARS] or "empty"
        case Mapping():
            return _listed([f"{key} {fact}" for key, fact in _facts(value)][:MAX_FACTS]) or "empty"
        case Sequence():
            more = [f"{len(value) - MAX_FACTS} more"] if len(value) > MAX_FACTS else []
            return _listed([_said(member) for member in value[:MAX_FACTS]] + more) or "none"
    return str(value)[:MAX_TEXT_CHARS]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + f" and {parts[-1]}" if parts else ""


def _sentence(text: str) -> str:
    text = text[:MAX_TEXT_CHARS].strip()
    return text[:1].upper() + text[1:] + ("" if text[-1:] in ".!?" else ".")
