"""API keys, origins and rates."""

from __future__ import annotations

from typing import Any

import pytest

from relay.config import Config, ServerSettings, TokenSettings
from token_service import policy
from token_service.policy import Identity, KeyRing, MintRate, Origins

PUBLIC: dict[str, Any] = {"host": "0.0.0.0", "port": 8080}  # noqa: S104


def origins(setup: tuple[str, ...] = (), **server: Any) -> Origins:
    settings = ServerSettings(**{"port": 8080, **server})
    return Origins.of(Config(server=settings, tokens=TokenSettings(setup_origins=setup)), settings.port)


def test_configured_key_is_known_from_anywhere_by_an_id_that_is_no_secret() -> None:
    ring = KeyRing([policy.hash_of("rk_one"), policy.hash_of("rk_two")])

    assert ring.check("rk_two", "203.0.113.9") == Identity("key_" + policy.hash_of("rk_two")[7:19])


@pytest.mark.parametrize("key", ["", "rk_", "rk_oneX", "RK_ONE", "sha256:0", policy.hash_of("rk_one"), "\udcff", "é"])
def test_other_keys_are_nobodys(key: str) -> None:
    assert KeyRing([policy.hash_of("rk_one")]).check(key) is None


@pytest.mark.parametrize(("peer", "expected"), [
    ("127.0.0.1", policy.DEV), ("127.8.8.8", policy.DEV), ("::1", policy.DEV), ("::ffff:127.0.0.1", policy.DEV),
    ("10.0.0.1", None), ("::ffff:10.0.0.1", None), ("0.0.0.0", None), ("", None),  # noqa: S104
])  # fmt: skip
def test_development_key_is_good_on_loopback_only(peer: str, expected: Identity | None) -> None:
    assert KeyRing([], "dev").check("dev", peer) == expected


def test_no_development_key_means_that_nothing_is_one() -> None:
    assert KeyRing([], None).check("", "127.0.0.1") is None
    assert KeyRing([], "").check("", "127.0.0.1") is None


FOREIGN = ["https://evil.example", "null", "", "https://app.example.evil.example", "https://APP.example",
           "https://app.example:443", "https://app.example/", "http://app.example", "https://xapp.example"]


@pytest.mark.parametrize("origin", FOREIGN)
def test_only_the_exact_origin_may_connect(origin: str) -> None:
    rules = origins(**PUBLIC, allowed_origins=("https://app.example",))

    assert rules.may_connect("https://app.example", "http://relay:8080")
    assert not rules.may_connect(origin, "http://relay:8080")


def test_missing_origin_may_connect_since_it_is_no_browser() -> None:
    assert origins(**PUBLIC).may_connect(None, "http://relay:8080")


def test_own_pages_may_connect() -> None:
    assert origins(**PUBLIC).may_connect("http://relay:8080", "http://relay:8080")
    assert origins(**PUBLIC, public_url="https://v.example/x").may_connect("https://v.example", "http://relay:8080")


@pytest.mark.parametrize(("origin", "allowed"), [
    ("http://localhost:3000", True), ("http://127.0.0.1:5173", True), ("http://[::1]:3000", True),
    ("https://evil.example", False), ("http://localhost.evil.example", False), ("http://127.0.0.1.evil.example", False),
    ("null", False), ("file://localhost", False), ("http://evil.example:8080", False), ("http://[::1", False),
])  # fmt: skip
def test_on_loopback_any_loopback_page_may_connect_and_no_rebound_name(origin: str, allowed: bool) -> None:
    assert origins().may_connect(origin, origin) is allowed


def test_setup_is_open_to_configured_origins_and_to_the_playground() -> None:
    rules = origins(setup=("https://app.example",))

    assert rules.may_set_up("https://app.example", "anything", "203.0.113.9")
    assert rules.may_set_up("http://localhost:8080", "localhost:8080", "127.0.0.1")


@pytest.mark.parametrize(("origin", "host", "peer"), [
    (None, "127.0.0.1:8080", "127.0.0.1"),
    ("http://127.0.0.1:3000", "127.0.0.1:8080", "127.0.0.1"),
    ("http://evil.example:8080", "evil.example:8080", "127.0.0.1"),
    ("http://127.0.0.1:8080", "voice.example", "127.0.0.1"),
    ("http://127.0.0.1:8080", "127.0.0.1:8080", ""),
    ("http://127.0.0.1:8080", "127.0.0.1:8080", "10.0.0.1"),
    ("https://voice.example", "voice.example", "127.0.0.1"),
])  # fmt: skip
def test_setup_is_closed_to_everybody_else(origin: str | None, host: str, peer: str) -> None:
    assert not origins(public_url="https://voice.example").may_set_up(origin, host, peer)


def test_setup_of_a_public_relay_is_closed_unless_configured() -> None:
    named_loopback = origins(**PUBLIC, public_url="http://127.0.0.1:8080")

    assert not origins(**PUBLIC).may_set_up("http://relay:8080", "relay:8080", "127.0.0.1")
    assert not named_loopback.may_set_up("http://127.0.0.1:8080", "127.0.0.1:8080", "127.0.0.1")


def test_default_port_is_not_part_of_an_origin() -> None:
    assert origins(port=80).is_playground("http://localhost", "localhost", "127.0.0.1")


def test_rate_allows_a_minutes_worth_then_one_at_a_time() -> None:
    rate = MintRate(per_minute=3)

    assert [rate.wait_s("192.0.2.1", 0.0) for _ in range(4)] == [0, 0, 0, 20]
    assert rate.wait_s("192.0.2.1", 19.0) == 1
    assert [rate.wait_s("192.0.2.1", 20.0) for _ in range(2)] == [0, 20]


def test_rate_of_one_address_is_not_another_ones() -> None:
    rate = MintRate(per_minute=1)

    assert [rate.wait_s(address, 0.0) for address in ("192.0.2.1", "192.0.2.2", "2001:db8::1")] == [0, 0, 0]
    assert rate.wait_s("2001:db8::2", 0.0) == 60


def test_too_many_addresses_wait_and_none_is_forgotten_early() -> None:
    rate = MintRate(per_minute=2, addresses=2)
    assert [rate.wait_s(address, 0.0) for address in "aab"] == [0, 0, 0]

    assert rate.wait_s("c", 1.0) == 30
    assert rate.wait_s("a", 1.0) > 0
    assert rate.wait_s("c", 61.0) == 0


@pytest.mark.parametrize(("model", "name"), [("gpt-realtime", "openai/gpt-realtime"), ("local/agent", "local/agent"),
                                             ("agent/demo", "agent/demo"), ("", "")])
def test_bare_model_is_openais(model: str, name: str) -> None:
    assert policy.qualified(model) == name
