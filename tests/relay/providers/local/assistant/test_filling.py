"""Arguments of a call, from a sentence and a schema."""

import pytest

from relay.nouns import Tool
from relay.providers.local.assistant.filling import fill, is_place, properties


def filled(said, properties, required=None, **options):
    required = list(properties) if required is None else required
    tool = Tool("do_it", "", {"type": "object", "properties": properties, "required": required})
    return fill(tool, said, **options)


TEXT, WHOLE, NUMBER, YES = ({"type": kind} for kind in ("string", "integer", "number", "boolean"))


@pytest.mark.parametrize(
    ("said", "name", "value"),
    [
        ("weather in paris", "city", "Paris"),
        ("weather in new york today please", "location", "New York"),
        ("weather for the city of London right now", "place", "City"),
        ("weather near San José.", "town", "San José"),
        ("a table at luigi's", "place", "Luigi's"),
        ("call it a person named ada lovelace", "name", "Ada Lovelace"),
        ("an article about black holes and stars", "query", "black holes and stars"),
        ("flights from oslo to rome", "origin", "Oslo"),
        ("flights from oslo to rome", "destination", "Rome"),
        ("where is order AB-123", "order_id", "AB-123"),
        ("is it open tomorrow", "date", "tomorrow"),
        ("oslo please", "city", "Oslo"),
        ("play iPhone sounds", "thing", "play iPhone sounds"),
    ],
)
def test_string_is_what_stands_behind_a_fitting_word(said, name, value):
    assert filled(said, {name: TEXT}).arguments == {name: value}


def test_words_are_given_to_one_argument_only():
    both = {"destination": TEXT, "origin": TEXT}
    assert filled("fly from oslo to rome", both).arguments == {"destination": "Rome", "origin": "Oslo"}
    message = {"recipient": TEXT, "text": TEXT}
    assert filled("write to bob saying i am late", message).arguments == {"recipient": "Bob", "text": "i am late"}


@pytest.mark.parametrize(
    ("said", "schema", "value"),
    [
        ("for twenty five minutes", WHOLE, 25),
        ("about 2.5 litres", NUMBER, 2.5),
        ("3 of them", {"type": ["integer", "null"]}, 3),
        ("in degrees Fahrenheit", {"type": "string", "enum": ["celsius", "fahrenheit"]}, "fahrenheit"),
        ("the big_red one", {"enum": [1, None, "big red"]}, "big red"),
        ("with value", YES, True),
        ("turn it off", YES, False),
        ("without value", YES, False),
        ("tags of cats", {"type": "array"}, ["Cats"]),
    ],
)
def test_other_types_are_taken_by_mention(said, schema, value):
    assert filled(said, {"value": schema}).arguments == {"value": value}


def test_numbers_are_taken_in_order():
    assert filled("from 3 to four", {"low": WHOLE, "high": WHOLE}).arguments == {"low": 3, "high": 4}


def test_optional_argument_without_mention_is_left_out():
    assert filled("hello", {"city": TEXT, "on": YES, "count": WHOLE, "unit": {"enum": ["c"]}}, []).arguments == {}


def test_required_argument_without_mention_is_missing():
    found = filled("do it", {"city": TEXT, "count": WHOLE})
    assert (found.arguments, found.missing) == ({}, ["city", "count"])


def test_forced_call_gets_empty_values():
    schemas = {"a": WHOLE, "city": TEXT, "c": {"enum": ["x"]}, "d": {"type": "object"}, "e": {"type": "array"}}
    assert filled("do it", schemas, forced=True).arguments == {"a": 0, "city": "", "c": "x", "d": {}, "e": []}


def test_place_of_the_sentence_before_is_used_where_none_is_named():
    assert filled("do it there", {"city": TEXT}, place="Oslo").arguments == {"city": "Oslo"}


@pytest.mark.parametrize("parameters", [{}, {"properties": []}, {"properties": {"a": 1}}, {"required": "a"}])
def test_schema_that_is_none_gives_no_arguments(parameters):
    tool = Tool("do_it", "", parameters)
    assert properties(tool) == {}
    assert fill(tool, "do it in Paris").arguments == {}


def test_place_is_known_by_its_name():
    assert [is_place(name) for name in ("city", "homeAddress", "start_location", "query")] == [True, True, True, False]
