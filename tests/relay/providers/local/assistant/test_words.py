"""What counts as the same word."""

import pytest

from relay.providers.local.assistant.words import plain, stem, stems


@pytest.mark.parametrize(
    ("word", "same"),
    [
        ("cities", "city"), ("raining", "rain"), ("ordered", "order"), ("Prices", "price"), ("glass", "glass"),
        ("is", "is"), ("weather’s", "weather"), ("king", "king"),
    ],
)  # fmt: skip
def test_endings_do_not_count(word, same):
    assert stem(word) == same


@pytest.mark.parametrize("name", ["getCurrentWeather", "get_current_weather", "get-current  weather"])
def test_names_are_read_as_words(name):
    assert plain(name) == "get current weather"


def test_words_that_say_nothing_are_left_out():
    assert stems("What is the weather like in the cities?") == {"weather", "city"}
