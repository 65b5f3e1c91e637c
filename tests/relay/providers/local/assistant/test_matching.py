"""Which tools a sentence asks for."""

import json

import pytest

from relay.nouns import Tool
from relay.providers.local.assistant.matching import MAX_CALLS, calls_for, is_question


def tool(name, description="", **properties):
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return Tool(name, description, schema)


TEXT = {"type": "string"}
WEATHER = tool("get_weather", city=TEXT)
CLOCK = tool("getLocalTime", location=TEXT)
SEARCH = tool("web_search", query=TEXT)
TAXI = tool("ride", "Orders a taxi to the airport")
ALL = [WEATHER, CLOCK, SEARCH, TAXI]


def made(said, tools=ALL, **options):
    calls, _ = calls_for(said, tools, **options)
    return [(call.name, *json.loads(call.arguments).values()) for call in calls]


@pytest.mark.parametrize(
    ("said", "calls"),
    [
        ("what is the weather in paris", [("get_weather", "Paris")]),
        ("What's the local time in Tokyo?", [("getLocalTime", "Tokyo")]),
        ("in paris, what is the weather", [("get_weather", "Paris")]),
        ("hello, can you tell me the weather in Rome please", [("get_weather", "Rome")]),
        ("search for salt and pepper", [("web_search", "salt and pepper")]),
        ("I need a taxi to the airport", [("ride",)]),
        ("I need a taxi", []),
        ("tell me a story", []),
        ("what is three times four", []),
        ("", []),
    ],
)
def test_sentence_calls_the_tool_that_it_names(said, calls):
    assert made(said) == calls


@pytest.mark.parametrize(
    ("said", "calls"),
    [
        ("the weather in paris and the time in tokyo", [("get_weather", "Paris"), ("getLocalTime", "Tokyo")]),
        ("the weather in paris and london", [("get_weather", "Paris"), ("get_weather", "London")]),
        ("the weather in paris, and in new york", [("get_weather", "Paris"), ("get_weather", "New York")]),
        ("the weather in berlin and what time is it there", [("get_weather", "Berlin"), ("getLocalTime", "Berlin")]),
        ("the weather in paris and the weather in paris", [("get_weather", "Paris")]),
    ],
)
def test_sentence_that_asks_for_two_things_makes_two_calls(said, calls):
    assert made(said) == calls


def test_calls_of_one_sentence_are_bounded():
    assert len(made("the weather in " + " and ".join(f"town{letter}" for letter in "abcdefgh"))) == MAX_CALLS


def test_missing_argument_is_asked_for():
    calls, question = calls_for("what is the weather", ALL)
    assert (calls, question) == ([], "I can do that, but which city?")
    assert is_question(question)
    assert not is_question("Which city?")


def test_forced_call_is_made_without_any_match():
    assert made("hello", forced=True) == [("get_weather", "")]
    assert made("what time is it", forced=True) == [("getLocalTime", "")]
