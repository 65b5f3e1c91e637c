"""`local/assistant`: a small rule-based chat model, so that everything can be tried without a key. Pure.

It calls the tools whose names or descriptions match what was said (`matching`, `filling`), puts their results into
words (`results`), and else makes conversation (`smalltalk`). It says of itself that it is small. Never raises on what
is in a history, a schema or a tool's output. Cost: well under a millisecond.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relay.nouns import Item, Tool
from relay.providers.local.assistant.filling import Call
from relay.providers.local.assistant.matching import calls_for, is_question
from relay.providers.local.assistant.results import in_words
from relay.providers.local.assistant.smalltalk import NOT_HEARD, About, chat, hello

__all__ = ["Call", "Reply", "answer", "deltas"]

DELTA_WORDS = 3
"""Words in one piece of an answer."""
MAX_ANSWER_WORDS = 5
"""Somebody who says more than this is not answering our question, but has another one."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What the assistant has to say, and the tools it wants to be called."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0


def answer(
    instructions: str,
    history: Sequence[Item],
    tools: Sequence[Tool],
    tool_choice: str | Mapping[str, Any],
    now: datetime,
) -> Reply:
    """Answer the end of a conversation.

    Args:
        instructions: only a name is taken from them ("your name is Ada").
        tool_choice: auto, none, required, or a mapping with the name of a function (OpenAI Realtime, `tool_choice`).
        now: local time, for questions about it.
    """
    text, calls = _decide(instructions, history, tools, tool_choice, now)
    read = [instructions, *(_words_of(item) for item in history), *(tool.description for tool in tools)]
    written = [text, *(call.arguments for call in calls)]
    return Reply(text, tuple(calls), tokens(" ".join(read)), tokens(" ".join(written)))


def deltas(text: str) -> list[str]:
    """A text in pieces of a few words, as a chat model would produce it."""
    return re.findall(rf"(?:\s*\S+\s*){{1,{DELTA_WORDS}}}", text)


def tokens(text: str) -> int:
    """About how many tokens a text has: four for every three words, as English has with common tokenizers."""
    return -(-len(text.split()) * 4 // 3)


def _decide(
    instructions: str,
    history: Sequence[Item],
    tools: Sequence[Tool],
    tool_choice: str | Mapping[str, Any],
    now: datetime,
) -> tuple[str, list[Call]]:
    results = _new_results(history)
    if results:
        return in_words(results), []
    said = _said(history)
    if said is None:
        return hello(About(instructions, tools, now)), []
    usable, forced = _usable(tools, tool_choice)
    if not said and not forced:
        return NOT_HEARD, []
    calls, question = calls_for(said, usable, forced=forced) if usable else ([], "")
    if calls:
        return "", calls
    return question or chat(said, About(instructions, tools, now)), []


def _usable(tools: Sequence[Tool], choice: str | Mapping[str, Any]) -> tuple[Sequence[Tool], bool]:
    """The tools that may be called now, and whether one must be."""
    if isinstance(choice, Mapping):
        function = choice.get("function")
        name = choice.get("name") or (function.get("name") if isinstance(function, Mapping) else None)
        return [tool for tool in tools if tool.name == name], True
    return ((), False) if choice == "none" else (tools, choice == "required")


def _new_results(history: Sequence[Item]) -> list[tuple[str, str]]:
    """(tool, output) of everything that came back since anybody last said something."""
    names = {item.call_id: item.name or "" for item in history if item.type == "function_call"}
    found: list[tuple[str, str]] = []
    for item in reversed(history):
        if item.type == "function_call_output":
            found.insert(0, (names.get(item.call_id, ""), item.output or ""))
        elif item.type == "message" and item.role != "system":
            break
    return found


def _said(history: Sequence[Item]) -> str | None:
    """What the user said last; with their earlier question in front when it is the answer to one of ours.

    None when the user has said nothing yet, "" when it could not be understood.
    """
    messages = [item for item in history if item.type == "message" and item.role in ("user", "assistant")]
    if not any(item.role == "user" for item in messages):
        return None
    last = max(index for index, item in enumerate(messages) if item.role == "user")
    said = _words_of(messages[last])
    before = messages[max(0, last - 2) : last]
    if [item.role for item in before] != ["user", "assistant"] or len(said.split()) > MAX_ANSWER_WORDS:
        return said
    asked, question = map(_words_of, before)
    return f"{asked.rstrip('.?! ')} {_with_preposition(said)}" if said and is_question(question) else said


def _with_preposition(said: str) -> str:
    return said if re.match(r"(?i)(in|at|for|on|to|from|about|near)\b", said) else f"for {said}"


def _words_of(item: Item) -> str:
    return " ".join(part.text.strip() for part in item.content if part.text and part.text.strip())
