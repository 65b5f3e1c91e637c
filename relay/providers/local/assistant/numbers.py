"""Numbers and sums in spoken English. Pure."""

from __future__ import annotations

import re

_SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen"""
_ROUND = "twenty thirty forty fifty sixty seventy eighty ninety"
_UNITS = {word: value for value, word in enumerate(_SMALL.split())}
_TENS = {word: 10 * value for value, word in enumerate(_ROUND.split(), 2)}
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 1_000_000}
_OPERATORS = {
    "plus": "+", "added to": "+", "minus": "-", "less": "-", "times": "*", "multiplied by": "*", "x": "*",
    "divided by": "/", "over": "/", "+": "+", "-": "-", "*": "*", "/": "/", "×": "*", "÷": "/",
}  # fmt: skip
_TOKEN = re.compile(r"\d{1,15}(?:\.\d{1,6})?|multiplied by|divided by|added to|[a-z]+|[+*/×÷]|(?<!\S)-(?!\S)")


def numbers(text: str) -> list[float]:
    """All numbers of a text, in order, whether in digits or in words."""
    return [token for token in _tokens(text) if isinstance(token, float)]


def spoken(number: float) -> str:
    """A number as it is read out: no more than four decimals, and none where there is no need."""
    return f"{number:.4f}".rstrip("0").rstrip(".") if number % 1 else f"{number:.0f}"


def calculate(text: str) -> str | None:
    """The answer to a sum in a text ("what is two plus 3 times 4"), or None when there is none."""
    sums: list[float | str] = []
    for token in _tokens(text):
        is_number, wants_number = isinstance(token, float), not sums or isinstance(sums[-1], str)
        if is_number == wants_number:
            sums.append(token)
        elif is_number:
            sums = [token]
    while sums and isinstance(sums[-1], str):
        sums.pop()
    if len(sums) < 3:
        return None
    value = _evaluate(sums)
    return "Nobody can divide by zero." if value is None else f"That makes {spoken(value)}."


def _evaluate(sums: list[float | str]) -> float | None:
    """Numbers and operators in turn; multiplication and division first. None for a division by zero."""
    terms: list[float] = [float(sums[0])]
    for operator, operand in zip(sums[1::2], sums[2::2], strict=True):
        number = float(operand)
        if operator == "*":
            terms[-1] *= number
        elif operator == "/":
            if number == 0:
                return None
            terms[-1] /= number
        else:
            terms.append(number if operator == "+" else -number)
    return sum(terms)


def _tokens(text: str) -> list[float | str]:
    """Numbers as floats, operators as their sign; all other words are left out."""
    found: list[float | str] = []
    total, part, counting = 0.0, 0.0, False
    for word in [*_TOKEN.findall(text.lower()), ""]:
        if word in _UNITS or word in _TENS:
            part += _UNITS.get(word, 0) + _TENS.get(word, 0)
            counting = True
        elif counting and word in _SCALES:
            part = max(part, 1) * _SCALES[word]
            if word != "hundred":
                total, part = total + part, 0.0
        elif counting and word == "and" and part % 100 == 0 and part + total > 0:
            continue  # two hundred and one
        else:
            if counting:
                found.append(total + part)
            total, part, counting = 0.0, 0.0, False
            if word[:1].isdigit():
                found.append(float(word))
            elif word in _OPERATORS:
                found.append(_OPERATORS[word])
    return found
