"""Numbers and sums in spoken English."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.providers.local.assistant.numbers import calculate, numbers, spoken


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("twenty one", [21]), ("twenty-one and 5", [21, 5]), ("two hundred and three", [203]),
        ("3.5 or four", [3.5, 4]),
        ("one million two hundred thousand", [1_200_000]), ("nineteen eighty four thousand", [103_000]),
        ("two and three", [2, 3]), ("none here", []), ("", []),
    ],
)  # fmt: skip
def test_numbers_are_found_in_digits_and_words(text, found):
    assert numbers(text) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("what is two plus two", "That makes 4."), ("12 times three minus 1", "That makes 35."),
        ("one plus two times three", "That makes 7."), ("10 divided by 4", "That makes 2.5."),
        ("ten over three", "That makes 3.3333."), ("seven multiplied by eight", "That makes 56."),
        ("3 - 5", "That makes -2."), ("5 / 0", "Nobody can divide by zero."), ("2 plus", None), ("plus 2", None),
        ("call 555-1234", None), ("i have two cats", None), ("", None),
    ],
)  # fmt: skip
def test_sums_are_worked_out(text, said):
    assert calculate(text) == said


@given(st.integers(-(10**6), 10**6), st.integers(0, 10**6), st.sampled_from("+*"))
def test_sums_of_digits_agree_with_arithmetic(left, right, operator):
    value = abs(left) + right if operator == "+" else abs(left) * right
    assert calculate(f"{abs(left)} {operator} {right}") == f"That makes {value}."


@given(st.text())
def test_any_text_is_survived(text):
    assert isinstance(numbers(text), list)
    assert calculate(text) is None or calculate(text).endswith(".")


@pytest.mark.parametrize(("number", "text"), [(4.0, "4"), (2.5, "2.5"), (1 / 3, "0.3333"), (1e15, "1000000000000000")])
def test_numbers_are_read_out_short(number, text):
    assert spoken(number) == text
