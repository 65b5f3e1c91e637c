"""Outputs of tools in words."""

import json

import pytest

from relay.providers.local.assistant.results import MAX_FACTS, in_words


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ('{"city":"Paris","temperature_c":21,"sky":"sunny"}',
         "The city is Paris, the temperature is 21 degrees Celsius and the sky is sunny."),
        ('{"result":{"wind":{"speed_kmh":12.5},"rain":false,"note":null}}',
         "The wind speed is 12.5 kilometres an hour, the rain is no and the note is unknown."),
        ('{"tags":["a","b"],"more":[],"deep":[{"x":1}]}', "The tags is a and b, the more is none and the deep is x 1."),
        ('"sunny"', "Sunny."), ("sunny, 21 degrees!", "Sunny, 21 degrees!"), ("[1,2,3]", "1, 2 and 3."), ("42", "42."),
        ('{"error":"no network"}', "The tool get weather failed: No network."),
        ('{"error":{"message":"gone"}}', "The tool get weather failed: Gone."),
        ('{"error":true}', "The tool get weather failed."),
        ('{"ok":false,"message":"closed"}', "The tool get weather failed: Closed."),
        ('{"error":null,"sky":"grey"}', "The sky is grey."),
        ("", "The tool get weather is done, and gave no details."),
        ("null", "The tool get weather is done, and gave no details."),
        ("{}", "The tool get weather is done, and gave no details."),
    ],
)  # fmt: skip
def test_output_becomes_a_sentence_with_its_values(output, words):
    assert in_words([("get_weather", output)]) == words


def test_several_outputs_become_several_sentences():
    assert in_words([("a", "one"), ("b", "two")]) == "One. Two."


def test_many_facts_are_cut_and_counted():
    words = in_words([("x", json.dumps({f"f{n}": n for n in range(20)}))])
    assert words.count(" is ") == MAX_FACTS
    assert words.endswith("There are 12 more details.")


def test_long_text_is_cut():
    assert len(in_words([("x", "word " * 10_000)])) < 1_000
