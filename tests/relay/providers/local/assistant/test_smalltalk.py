"""What is said without any tool."""

from datetime import datetime

import pytest

from relay.nouns import Tool
from relay.providers.local.assistant.smalltalk import About, chat, hello

ABOUT = About("", [], datetime(2025, 3, 4, 0, 5))


@pytest.mark.parametrize(
    ("said", "reply"),
    [
        ("What time is it?", "It is 12:05 AM."),
        ("what's the date today", "Today is Tuesday, March 4, 2025."),
        ("Hello there!", "Hello! I am a small local assistant. How can I help?"),
        ("hello, what is two plus two", "That makes 4."),
        ("how are you", "I am fine, thank you. How can I help?"),
        ("Thanks a lot", "You are welcome."),
        ("good bye", "Goodbye!"),
        ("Please repeat after me: one small step", "One small step."),
        ("say two plus two", "Two plus two."),
        ("count to three", "1, 2, 3."),
    ],
)
def test_common_words_have_their_answers(said, reply):
    assert chat(said, ABOUT) == reply


@pytest.mark.parametrize("said", ["who are you", "are you a real person", "help me", "what can you do"])
def test_it_says_that_it_is_small(said):
    assert "a small local assistant" in chat(said, ABOUT)


def test_what_it_does_not_understand_is_echoed_honestly():
    assert chat("Colourless green ideas.", ABOUT).startswith("You said: Colourless green ideas. I am only a small")


def test_abilities_name_the_tools():
    assert "get weather" in hello(About("", [Tool("get_weather")], ABOUT.now))


def test_counting_is_bounded():
    assert chat("count to nine million", ABOUT).endswith("99, 100.")


def test_long_words_are_not_echoed_whole():
    assert len(chat("blah " * 5_000, ABOUT)) < 500
