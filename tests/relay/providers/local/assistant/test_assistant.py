"""The assistant as a whole: what it answers to the end of a conversation."""

import json
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.nouns import Item, Part, Tool
from relay.providers.local.assistant import answer, deltas, tokens

NOW = datetime(2025, 3, 4, 15, 5)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = Tool("get_weather", "Current weather for a city", CITY)
CLOCK = Tool("get_time", "Local time in a city", CITY)


def user(text):
    return Item("u", "message", "user", content=(Part("input_audio", text),))


def assistant(text):
    return Item("a", "message", "assistant", content=(Part("output_audio", text),))


def call(call_id, name="get_weather"):
    return Item("c", "function_call", call_id=call_id, name=name, arguments="{}")


def output(call_id, text):
    return Item("o", "function_call_output", call_id=call_id, output=text)


def ask(*history, tools=(), choice="auto", instructions=""):
    return answer(instructions, history, tools, choice, NOW)


def test_question_for_a_tool_is_a_call_and_no_text():
    reply = ask(user("What is the weather in Paris?"), tools=[WEATHER])
    assert [(made.name, json.loads(made.arguments)) for made in reply.calls] == [("get_weather", {"city": "Paris"})]
    assert reply.text == ""


def test_result_of_a_tool_is_put_into_words():
    result = '{"city":"Paris","temperature_c":21,"sky":"sunny"}'
    reply = ask(user("weather in paris"), call("1"), output("1", result), tools=[WEATHER], choice="required")
    assert all(word in reply.text for word in ("Paris", "21", "sunny"))
    assert reply.calls == ()


def test_all_results_since_the_last_words_are_told_in_order():
    history = [user("old"), call("0"), output("0", "old"), assistant("Old."), user("both")]
    reply = ask(*history, call("1"), call("2", "get_time"), output("1", "sunny"), output("2", "noon"))
    assert reply.text == "Sunny. Noon."


def test_results_are_told_once():
    reply = ask(user("weather"), call("1"), output("1", "sunny"), assistant("Sunny."), user("thanks"))
    assert reply.text == "You are welcome."


def test_failed_tool_is_named_as_failed():
    assert "failed: No network." in ask(user("x"), call("1"), output("1", '{"error":"no network"}')).text


@pytest.mark.parametrize("text", [None, "", "  "])
def test_turn_without_words_is_asked_to_be_repeated(text):
    assert "say it again" in ask(user(text), tools=[WEATHER]).text


def test_conversation_that_nobody_began_is_begun_with_a_greeting():
    assert ask().text.startswith("Hello! I am a small local assistant.")


def test_name_is_taken_from_the_instructions():
    assert "I am Ada, a small" in ask(user("who are you"), instructions="Be brief. Your name is Ada.").text


def test_missing_argument_is_asked_for_and_the_answer_understood():
    question = ask(user("what is the weather"), tools=[WEATHER])
    assert (question.text, question.calls) == ("I can do that, but which city?", ())
    answered = ask(user("what is the weather"), assistant(question.text), user("in New York"), tools=[WEATHER])
    assert answered.calls[0].arguments == '{"city":"New York"}'
    short = ask(user("what is the weather"), assistant(question.text), user("oslo"), tools=[WEATHER])
    assert short.calls[0].arguments == '{"city":"Oslo"}'


def test_other_words_than_an_answer_are_taken_as_they_are():
    question = ask(user("what is the weather"), tools=[WEATHER]).text
    assert ask(user("what is the weather"), assistant(question), user("tell me a long and boring story please")).text


def test_choice_none_calls_nothing():
    reply = ask(user("weather in paris"), tools=[WEATHER], choice="none")
    assert reply.calls == ()
    assert reply.text


@pytest.mark.parametrize("text", ["hello", "", "weather in paris"])
def test_choice_required_always_calls(text):
    assert len(ask(user(text), tools=[WEATHER, CLOCK], choice="required").calls) == 1


@pytest.mark.parametrize(
    "choice", [{"type": "function", "name": "get_time"}, {"type": "function", "function": {"name": "get_time"}}]
)
def test_chosen_function_is_called_whatever_was_said(choice):
    reply = ask(user("weather in paris"), tools=[WEATHER, CLOCK], choice=choice)
    assert [(made.name, made.arguments) for made in reply.calls] == [("get_time", '{"city":"Paris"}')]


def test_choice_of_a_function_that_is_not_there_is_answered_in_words():
    assert ask(user("hello"), tools=[WEATHER], choice={"name": "nothing"}).text


def test_story_is_long_enough_to_be_interrupted():
    text = ask(user("Tell me a story.")).text
    assert text.count(".") == 12


def test_usage_counts_four_tokens_for_three_words():
    assert [tokens(text) for text in ("", "one", "one two three")] == [0, 2, 4]
    reply = ask(user("repeat after me one two three"), instructions="Be brief.")
    assert (reply.input_tokens, reply.output_tokens) == (tokens("Be brief. " + "word " * 6), 4)


@given(st.text())
def test_deltas_together_are_the_text_except_for_blank_ones(text):
    assert "".join(deltas(text)) == (text if text.strip() else "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
SCHEMA = st.dictionaries(
    st.sampled_from(["type", "properties", "required", "enum"]),
    JSON | st.sampled_from(["object", "string", "integer", "boolean", "array"]) | st.dictionaries(st.text(), JSON),
)
ITEMS = st.builds(
    lambda kind, role, text, call_id: Item(
        "i", kind, role, content=(Part("input_text", text),), call_id=call_id, name=text, output=text
    ),
    st.sampled_from(["message", "function_call", "function_call_output", "reasoning"]),
    st.sampled_from(["user", "assistant", "system", None]),
    st.none() | st.text(max_size=20) | JSON.map(lambda value: json.dumps(value)),
    st.sampled_from(["1", "2", None]),
)
TOOLS = st.builds(Tool, st.text(max_size=12) | st.just("say_hello"), st.text(max_size=20), SCHEMA)


@given(
    st.text(max_size=20),
    st.lists(ITEMS, max_size=6),
    st.lists(TOOLS, max_size=3),
    st.sampled_from(["auto", "none", "required"]) | st.dictionaries(st.sampled_from(["name", "function"]), JSON),
)
def test_nothing_that_strangers_send_makes_it_raise(instructions, history, tools, choice):
    reply = answer(instructions, history, tools, choice, NOW)
    assert reply.text or reply.calls
    assert all(isinstance(json.loads(made.arguments), dict) for made in reply.calls)
