"""How a server that speaks the OpenAI shapes is dialled."""

import pytest

from relay.config import ProviderSettings
from relay.errors import ModelError
from relay.providers.openai_compatible import target


@pytest.mark.parametrize(("base", "url"), [
    ("https://x.example/v1", "wss://x.example/v1/realtime?model=m"),
    ("https://x.example/v1/", "wss://x.example/v1/realtime?model=m"),
    ("http://127.0.0.1:8000", "ws://127.0.0.1:8000/realtime?model=m"),
    ("wss://x.example/openai/v1", "wss://x.example/openai/v1/realtime?model=m"),
])
def test_realtime_socket_lies_below_the_base_url(base: str, url: str) -> None:
    assert target("x", "m", ProviderSettings(base_url=base), {}).url == url


def test_model_id_is_quoted_in_the_query() -> None:
    assert target("x", "a/b&c", ProviderSettings(base_url="http://h"), {}).url.endswith("?model=a%2Fb%26c")


def test_owner_of_turn_detection_is_as_configured() -> None:
    assert not target("x", "m", ProviderSettings(base_url="http://h"), {}).relay_turns
    assert target("x", "m", ProviderSettings(base_url="http://h", turn_detection_owner="relay"), {}).relay_turns


def test_key_comes_from_the_variable_that_is_named() -> None:
    settings = ProviderSettings(base_url="http://h", api_key_env="THE_KEY")
    assert target("x", "m", settings, {"THE_KEY": "k"}).headers["Authorization"] == "Bearer k"
    with pytest.raises(ModelError) as failed:
        target("x", "m", settings, {})
    assert failed.value.code == "provider_not_configured"
