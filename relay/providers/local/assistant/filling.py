"""The arguments of a tool call, taken from what was said and the tool's JSON Schema. Pure.

A string is what stands behind a fitting preposition ("in" for a place, "about" for a topic), else what is left of the
sentence; numbers are taken in order, enumerated values and booleans by mention.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from string import capwords
from typing import Any

import orjson

from relay.nouns import Tool
from relay.providers.local.assistant.numbers import numbers
from relay.providers.local.assistant.words import STOP_WORDS, TIME_WORDS, plain, stem, stems

PLACES = {
    "city", "location", "place", "town", "country", "address", "region", "where", "destination", "area", "airport",
    "station", "state", "room",
}  # fmt: skip
FREE_TEXTS = {"query", "text", "message", "question", "topic", "search", "content", "body", "note", "title", "subject"}
_PREPOSITIONS = ("in", "at", "near", "for", "of", "about", "to", "from", "named", "called", "saying", "on", "with")
_ENDS = "|".join((*_PREPOSITIONS, *TIME_WORDS, "please", "right", "now", "then", "off"))
_PHRASE = re.compile(
    rf"(?i)\b({'|'.join(_PREPOSITIONS)})\s+(?:the\s+|a\s+|an\s+)?(\S.*?)(?=\s+(?:{_ENDS})\b|\s*[,;?!]|\s*\.(?:\s|$)|\s*$)"
)
_FOR_PLACE = ("in", "at", "near", "for", "to", "of", "about")
_FOR_TEXT = ("saying", "about", "for", "named", "called")
_FOR_TOPIC = ("about", "named", "called", "for", "of", "with", "on", "to", "in", "at")
_MAX_PLACE_WORDS = 3
_EDGES = " \"'.?!,;:"


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the assistant wants to be called."""

    name: str
    arguments: str
    """JSON text of an object."""


@dataclass(slots=True)
class Filled:
    """What could be made of a sentence."""

    arguments: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    """Required parameters that the sentence says nothing about."""

    def call(self, tool: Tool) -> Call:
        return Call(tool.name, orjson.dumps(self.arguments).decode())


def properties(tool: Tool) -> dict[str, Mapping[str, Any]]:
    """Parameter names to their schemas; whatever is not a schema is left out."""
    members = tool.parameters.get("properties")
    if not isinstance(members, Mapping):
        return {}
    return {str(name): schema for name, schema in members.items() if isinstance(schema, Mapping)}


def is_place(name: str) -> bool:
    """Whether a parameter of this name holds a place."""
    return not PLACES.isdisjoint(plain(name).split())


def fill(tool: Tool, said: str, place: str | None = None, *, forced: bool = False) -> Filled:
    """Take a tool's arguments from a sentence.

    Args:
        place: where the sentence before was about, for "and what time is it there".
        forced: a call must be made, so what is missing gets an empty value of its type.
    """
    wanted = tool.parameters.get("required")
    required = [name for name in wanted if isinstance(name, str)] if isinstance(wanted, list | tuple) else []
    phrases = [(preposition.lower(), words.strip()) for preposition, words in _PHRASE.findall(said)]
    sentence = _Sentence(tool, said, phrases, iter(numbers(said)))
    filled = Filled()
    for name, schema in properties(tool).items():
        needed = name in required
        value = sentence.value(name, schema, needed)
        if value is None and is_place(name):
            value = place
        if value is None and needed:
            filled.missing.append(name)
            value = _empty(schema) if forced else None
        if value is not None:
            filled.arguments[name] = value
    return filled


@dataclass(slots=True)
class _Sentence:
    """What was said; what an argument has taken of it is not there for the next one."""

    tool: Tool
    said: str
    phrases: list[tuple[str, str]]
    """(preposition, what stands behind it)"""
    amounts: Iterator[float]

    def value(self, name: str, schema: Mapping[str, Any], needed: bool) -> Any:
        """The value of one parameter, or None."""
        kind, choices = _kind(schema), schema.get("enum")
        if isinstance(choices, list | tuple) and choices:
            return _mentioned(choices, self.said)
        if kind in ("integer", "number"):
            amount = next(self.amounts, None)
            return amount if amount is None or amount % 1 else int(amount)
        if kind == "boolean":
            return not _denied(self.said) if needed or _mentions(name, self.said) else None
        if kind == "array":
            words = self._words(name, needed)
            return None if words is None else [words]
        return self._words(name, needed) if kind == "string" else None

    def _words(self, name: str, needed: bool) -> str | None:
        parts = set(plain(name).split())
        if parts & {"date", "day", "when"}:
            return next((word for word in re.findall(r"[a-z]+", self.said.lower()) if word in TIME_WORDS), None)
        if parts & {"id", "number", "code"}:
            found = re.search(r"\b[\w-]*\d[\w-]*\b", self.said)
            return found[0] if found else None
        if parts & FREE_TEXTS:
            return self._free_text() or (self._left_over() if needed else None) or None
        order: tuple[str, ...] = _FOR_PLACE if is_place(name) else _FOR_TOPIC
        if parts & {"from", "origin", "source", "departure"}:
            order = ("from",)
        elif parts & {"to", "destination", "recipient"}:
            order = ("to", *order)
        for wanted in order:
            for phrase in self.phrases:
                if phrase[0] == wanted and not stems(phrase[1]) <= self._known and not numbers(phrase[1]):
                    self.phrases.remove(phrase)
                    self._take(phrase[1])
                    return _titled(phrase[1])
        left = self._left_over() if needed else ""
        return _titled(left) if left and (not is_place(name) or len(left.split()) <= _MAX_PLACE_WORDS) else None

    def _free_text(self) -> str | None:
        """Everything behind the first preposition, as it was said: "search for salt and pepper"."""
        found = re.search(rf"(?i)\b(?:{'|'.join(_FOR_TEXT)})\s+(.+)", self.said)
        if found is None:
            return None
        self._take(found[1])
        return found[1].strip(_EDGES)

    def _left_over(self) -> str:
        """What is said beside the tool's own words: "paris weather please" leaves "paris"."""
        known, words = self._known, re.findall(r"[\w'’-]+", self.said)
        return " ".join(word for word in words if word.lower() not in known and stem(word) not in known)

    def _take(self, words: str) -> None:
        self.said = self.said.replace(words, " ", 1)

    @property
    def _known(self) -> set[str]:
        return stems(plain(self.tool.name)) | stems(self.tool.description) | STOP_WORDS


def _titled(words: str) -> str:
    words = words.strip(_EDGES)
    return capwords(words) if words.islower() else words


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type", "string")
    if isinstance(kind, list | tuple):
        kind = next((each for each in kind if each != "null"), "string")
    return str(kind)


def _mentioned(choices: list[Any] | tuple[Any, ...], said: str) -> Any:
    text = f" {plain(said)} "
    return next((choice for choice in choices if isinstance(choice, str) and f" {plain(choice)} " in text), None)


def _mentions(name: str, said: str) -> bool:
    return bool((stems(plain(name)) or {plain(name)}) & stems(said))


def _denied(said: str) -> bool:
    return not {"off", "not", "no", "without", "don", "never", "disable"}.isdisjoint(plain(said).split())


def _empty(schema: Mapping[str, Any]) -> Any:
    choices = schema.get("enum")
    if isinstance(choices, list | tuple) and choices:
        return choices[0]
    return {"integer": 0, "number": 0, "boolean": False, "array": [], "object": {}}.get(_kind(schema), "")
