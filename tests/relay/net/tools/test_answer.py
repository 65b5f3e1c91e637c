"""Outputs are bounded, errors are JSON, secrets are hidden."""

import json

import pytest

from relay import limits
from relay.errors import ConfigError
from relay.net.tools.answer import bounded, failure, from_environment, hide


def test_output_at_the_bound_passes_unchanged():
    output = "x" * limits.MAX_TOOL_OUTPUT_BYTES
    assert bounded(output) == output


@pytest.mark.parametrize("letter", ["x", "é", "語", "🙂"])
def test_output_above_the_bound_is_cut_between_letters_and_says_so(letter):
    cut = bounded(letter * (limits.MAX_TOOL_OUTPUT_BYTES // len(letter.encode()) + 1))
    body, notice = cut.split("\n")
    assert len(cut.encode()) <= limits.MAX_TOOL_OUTPUT_BYTES
    assert set(body) == {letter}
    assert notice == "[cut: the tool returned more than 262144 bytes]"


def test_output_with_half_a_surrogate_pair_is_measured_without_raising():
    assert bounded("\ud83d") == "\ud83d"


def test_failure_of_any_length_is_json_with_one_error():
    assert json.loads(failure('no "city"')) == {"error": 'no "city"'}
    assert len(json.loads(failure("x" * 10_000))["error"]) == limits.MAX_TOOL_ERROR_CHARS


def test_secret_is_hidden_with_and_without_its_scheme():
    assert hide("Bearer s3cret-key and s3cret-key", ["Bearer s3cret-key"]) == "[hidden] and [hidden]"


def test_short_value_is_not_hidden():
    assert hide("1 true", ["1", "true"]) == "1 true"


def test_variable_that_is_not_set_is_the_operators_mistake():
    with pytest.raises(ConfigError, match=r"tools\.x\.headers_env\.Authorization: .* X_KEY is not set"):
        from_environment("tools.x.headers_env", {"Authorization": "X_KEY"}, {})


def test_line_end_of_a_variable_read_from_a_file_is_dropped():
    assert from_environment("w", {"A": "X_KEY"}, {"X_KEY": "abc\n"}) == {"A": "abc"}
