import base64

import pytest

from relay import limits
from relay.dialects.ai_gateway.fields import Wrong, check_tree, clip, decoded_size, number


@pytest.mark.parametrize("size", range(0, 9))
def test_size_is_told_from_length_and_padding(size: int) -> None:
    assert decoded_size(base64.b64encode(b"x" * size).decode()) == size


@pytest.mark.parametrize("broken", ["A", "AA", "AAA", "AAAAA"])
def test_size_of_an_impossible_length_is_negative(broken: str) -> None:
    assert decoded_size(broken) == -1


@pytest.mark.parametrize("broken", ["", "AAA", "AA-_", "AA==AA==", "AAAA\n", "é"])
def test_a_clip_that_is_not_standard_base64_is_refused(broken: str) -> None:
    with pytest.raises(Wrong) as caught:
        clip({"audio": broken}, "audio", "item.")
    assert caught.value.param == "item.audio"


@pytest.mark.parametrize("value", [True, "1", None, 11, -1, float("inf")])
def test_a_number_out_of_bounds_or_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(Wrong):
        number({"n": value}, "n", 0, 10)


@pytest.mark.parametrize(
    "tree", [{"__proto__": 1}, {"a": [{"__proto__": {}}]}, {"a": {"constructor": {"prototype": 1}}}]
)
def test_prototype_keys_are_refused_at_any_depth(tree: dict[str, object]) -> None:
    with pytest.raises(Wrong):
        check_tree(tree)


def test_a_constructor_that_carries_no_prototype_is_allowed() -> None:
    check_tree({"constructor": "Dallara", "a": {"constructor": {"name": 1}}})


def test_nesting_is_allowed_up_to_the_bound_and_no_deeper() -> None:
    def nested(depth: int) -> dict[str, object]:
        tree: dict[str, object] = {}
        for _ in range(depth - 1):
            tree = {"a": tree}
        return tree

    check_tree(nested(limits.MAX_JSON_DEPTH))
    with pytest.raises(Wrong):
        check_tree(nested(limits.MAX_JSON_DEPTH + 1))
