"""Cutting an answer into pieces that can be spoken while the rest is still being thought of."""

from __future__ import annotations

import re

from relay import limits

SENTENCE = re.compile(r"[.!?…]+[\"'”’)\]]*\s+|\n+|[。！？]+")
"""An end of a sentence that something follows; a full stop inside a number has no space behind it."""
ABBREVIATION = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|vs|etc|e\.g|i\.e|No)\.\s+$", re.IGNORECASE)
CLAUSE = re.compile(r"[,;:–—]\s+")
MIN_CLAUSE_CHARS = 12
"""A shorter piece sounds chopped; it waits for the next one."""


class Clauses:
    """Text in as it comes, speakable pieces out. Concatenated, the pieces are the text, letter for letter."""

    def __init__(self) -> None:
        self._text = ""
        self._first = True

    def put(self, delta: str) -> list[str]:
        """More text; what can be said now."""
        self._text += delta
        pieces = []
        while (end := self._end()) is not None:
            pieces.append(self._text[:end])
            self._text = self._text[end:]
            self._first = False
        return pieces

    def rest(self) -> list[str]:
        """The text is complete: what is left of it."""
        text, self._text = self._text, ""
        return [text] if text else []

    def _end(self) -> int | None:
        for found in SENTENCE.finditer(self._text):
            if found.end() >= MIN_CLAUSE_CHARS and not ABBREVIATION.search(self._text[: found.end()]):
                return found.end()
        if self._first:  # the first piece may be less than a sentence: silence is worse than a short breath
            for found in CLAUSE.finditer(self._text):
                if found.end() >= 2 * MIN_CLAUSE_CHARS:
                    return found.end()
        if len(self._text) > limits.MAX_CLAUSE_CHARS:
            space = self._text.rfind(" ", 0, limits.MAX_CLAUSE_CHARS)
            return space + 1 if space > 0 else limits.MAX_CLAUSE_CHARS
        return None
