"""Which tools a sentence asks for. Pure.

A tool matches when the sentence shares a word with its name, or two with its description. A sentence that asks for two
things ("the weather in Paris and the time in Tokyo", "… in Paris and London") gives two calls.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from relay.nouns import Tool
from relay.providers.local.assistant.filling import Call, fill, is_place, properties
from relay.providers.local.assistant.words import plain, stems

NAME_WEIGHT, DESCRIPTION_WEIGHT, ENOUGH = 2, 1, 2
MAX_CALLS = 4
_JOINT = re.compile(r"(?i)\s*(?:[;?!]|[,.](?=\s|$)|\b(?:and then|and also|and|then|also|as well as)\b)\s*")
_QUESTION = re.compile(r"^I can do that, but (?:which|what) ([\w ]+)\?$")


def calls_for(said: str, tools: Sequence[Tool], *, forced: bool = False) -> tuple[list[Call], str]:
    """The calls that a sentence asks for.

    Args:
        forced: there must be one, however little matches.

    Returns:
        The calls, and, where there is none for want of an argument, the question to ask back ("" else).
    """
    wishes = _wishes(said, tools)
    if forced and not wishes:
        wishes = [(max(tools, key=lambda tool: _score(tool, said)), said)]
    calls: list[Call] = []
    missing: list[str] = []
    place = None
    for tool, words in wishes[:MAX_CALLS]:
        filled = fill(tool, words, place, forced=forced)
        place = next((str(value) for name, value in filled.arguments.items() if is_place(name)), place)
        call = filled.call(tool)
        if filled.missing and not forced:
            missing += filled.missing
        elif call not in calls:
            calls.append(call)
    question = f"I can do that, but which {plain(missing[0]) or 'one'}?" if missing and not calls else ""
    return calls, question


def is_question(text: str) -> bool:
    """Whether `text` is a question that `calls_for` gave."""
    return _QUESTION.match(text) is not None


def _wishes(said: str, tools: Sequence[Tool]) -> list[tuple[Tool, str]]:
    """(tool, the words that are about it) for everything the sentence asks for."""
    found: list[tuple[Tool, str]] = []
    before = ""
    for clause, joint in _clauses(said):
        tool = _best(tools, clause)
        if tool is not None:
            found.append((tool, f"{before}{joint}{clause}" if not found else clause))
        elif not found:
            before += joint + clause
        elif _may_repeat(found[-1][0], joint, clause):
            found.append((found[-1][0], clause if _begins_with_preposition(clause) else f"in {clause}"))
        else:
            found[-1] = (found[-1][0], f"{found[-1][1]}{joint}{clause}")
    return found


def _clauses(said: str) -> list[tuple[str, str]]:
    """(clause, what joins it to the one before)"""
    clauses, end, joint = [], 0, ""
    for match in _JOINT.finditer(said):
        if said[end : match.start()].strip():
            clauses.append((said[end : match.start()], joint))
        joint, end = match[0], match.end()
    if said[end:].strip():
        clauses.append((said[end:], joint))
    return clauses


def _may_repeat(tool: Tool, joint: str, clause: str) -> bool:
    """Whether a clause without a tool of its own is one more place for the last one: "… in Paris and London"."""
    enumerated = "and" in joint.lower() or "," in joint or "also" in joint.lower()
    return enumerated and bool(stems(clause)) and len(clause.split()) <= 4 and any(map(is_place, properties(tool)))


def _begins_with_preposition(clause: str) -> bool:
    return re.match(r"(?i)(?:in|at|near|for|of|to|about)\b", clause.strip()) is not None


def _best(tools: Sequence[Tool], clause: str) -> Tool | None:
    scored = [(_score(tool, clause), tool) for tool in tools]
    score, tool = max(scored, key=lambda pair: pair[0], default=(0, None))
    return tool if score >= ENOUGH else None


def _score(tool: Tool, clause: str) -> int:
    said, names = stems(clause), stems(plain(tool.name))
    described = stems(tool.description) - names
    return NAME_WEIGHT * len(said & names) + DESCRIPTION_WEIGHT * len(said & described)
