from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay import limits
from relay.core.clauses import Clauses


def pieces(text: str, size: int = 3) -> list[str]:
    clauses = Clauses()
    out: list[str] = []
    for start in range(0, len(text), size):
        out += clauses.put(text[start : start + size])
    return out + clauses.rest()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It is noon today. The sun is out.", ["It is noon today. ", "The sun is out."]),
        ("Pi is 3.14159 or so. Yes.", ["Pi is 3.14159 or so. ", "Yes."]),
        ("Ask Dr. Smith about it. Now.", ["Ask Dr. Smith about it. ", "Now."]),
        ("Really?! Are you sure? Good.", ["Really?! Are you sure? ", "Good."]),
        ("Well, if you ask me about the weather, it is fine. Ok.",
         ["Well, if you ask me about the weather, ", "it is fine. ", "Ok."]),
        ("One line of text\nAnother one", ["One line of text\n", "Another one"]),
    ],
)  # fmt: skip
def test_text_is_cut_where_a_speaker_would_breathe(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


def test_first_sentence_is_out_before_the_second_is_complete() -> None:
    assert Clauses().put("The answer is forty two. And the que") == ["The answer is forty two. "]


def test_text_without_a_full_stop_is_cut_at_the_bound() -> None:
    text = "word " * 200
    assert max(map(len, pieces(text))) <= limits.MAX_CLAUSE_CHARS


@given(st.text(max_size=600), st.integers(1, 50))
def test_pieces_joined_are_the_text(text: str, size: int) -> None:
    assert "".join(pieces(text, size)) == text
