"""The store: one winner whatever races, bounded, shared by processes, surviving restarts."""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from relay import limits
from relay.errors import ConfigError, TooMany
from token_service.store import REMEMBER_S, STORE_FILE, TokenStore
from token_service.tokens import BadToken, Claims, Reason

NOW = 1_700_000_000


Open = Callable[..., TokenStore]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens the store of this test, as often as there are processes and restarts in it; closes them at its end."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(closing(TokenStore(tmp_path / STORE_FILE, **options)))


def claims(jti: str = "tok_1", **changes: Any) -> Claims:
    return Claims(**{"iss": "i", "aud": "a", "sub": "key_a", "iat": NOW, "nbf": NOW, "exp": NOW + 60, "jti": jti,
                     "surface": "realtime", "model": "", "kid": "sig_a", **changes})


def accepted(store: TokenStore, token: Claims, now: float = NOW) -> bool:
    try:
        store.redeem(token, now)
    except BadToken:
        return False
    return True


def race(path: Path) -> int:
    """How many of eight threads of one process get in with the same token."""
    store = TokenStore(path)
    with ThreadPoolExecutor(8) as pool:
        wins = sum(pool.map(lambda _: accepted(store, claims()), range(16)))
    store.close()
    return wins


def test_second_use_is_refused(opened: Open) -> None:
    store = opened()
    store.redeem(claims(), NOW)

    with pytest.raises(BadToken) as caught:
        store.redeem(claims(), NOW)

    assert caught.value.reason is Reason.REPLAYED


def test_token_for_many_uses_is_accepted_again(opened: Open) -> None:
    store = opened()

    assert all(accepted(store, claims(single_use=False)) for _ in range(3))


def test_fifty_threads_with_one_token_have_one_winner(opened: Open) -> None:
    store, start = opened(), threading.Barrier(50)

    def attempt(_: int) -> bool:
        start.wait()
        return accepted(store, claims())

    with ThreadPoolExecutor(50) as pool:
        assert sum(pool.map(attempt, range(50))) == 1


def test_four_processes_with_one_token_have_one_winner(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        assert sum(pool.map(race, [tmp_path / STORE_FILE] * 8)) == 1


def test_connections_with_different_tokens_do_not_refuse_each_other(opened: Open) -> None:
    stores, start = [opened() for _ in range(2)], threading.Barrier(2)

    def redeem_many(worker: int) -> int:
        start.wait()
        return sum(accepted(stores[worker], claims(f"{worker}.{number}")) for number in range(20))

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(redeem_many, range(2))) == [20, 20]


def test_use_before_a_restart_is_remembered_after_it(opened: Open) -> None:
    before = opened()
    before.redeem(claims(), NOW)
    before.close()

    assert not accepted(opened(), claims())


def test_full_store_refuses_and_forgets_no_live_id(opened: Open) -> None:
    store = opened(size=3)
    for each in "abc":
        store.redeem(claims(each), NOW)

    with pytest.raises(TooMany) as caught:
        store.redeem(claims("d"), NOW)

    assert (caught.value.status, caught.value.retry_after_s) == (503, 66)
    assert not any(accepted(store, claims(each)) for each in "abc")


def test_full_store_has_room_again_when_tokens_have_expired(opened: Open) -> None:
    store = opened(size=3)
    for each in "abc":
        store.redeem(claims(each), NOW)
    over = NOW + 60 + limits.TOKEN_LEEWAY_S + 1

    for each in "def":
        store.redeem(claims(each, exp=over + 60), over)

    with pytest.raises(TooMany):
        store.redeem(claims("g", exp=over + 60), over)


def test_id_is_kept_for_as_long_as_verification_would_accept_its_token(opened: Open) -> None:
    store = opened()
    store.redeem(claims(), NOW)
    last_moment = NOW + 60 + limits.TOKEN_LEEWAY_S - 0.001

    store.redeem(claims("tok_2"), last_moment)

    assert not accepted(store, claims(), last_moment)


@pytest.mark.parametrize("name", ["tok_1", "key_a", "sig_a"])
def test_revoked_by_token_api_key_or_signing_key_is_refused(opened: Open, name: str) -> None:
    store = opened()
    store.revoke(name, NOW + 1)

    with pytest.raises(BadToken) as caught:
        store.redeem(claims(single_use=False), NOW + 1)

    assert caught.value.reason is Reason.REVOKED
    assert accepted(store, claims("tok_2", sub="key_b", kid="sig_b"))


def test_token_minted_after_a_revocation_of_its_key_is_accepted(opened: Open) -> None:
    store = opened()
    store.revoke("key_a", NOW)

    assert not accepted(store, claims(iat=NOW))
    assert accepted(store, claims(iat=NOW + 1))


def test_revocation_is_seen_by_another_process_and_dropped_when_no_token_can_be_older(opened: Open) -> None:
    here, there = opened(), opened()

    there.revoke("tok_1", NOW)
    assert here.revoked_since(NOW) == {"tok_1": NOW}
    assert here.revoked_since(NOW + 1) == {}

    there.revoke("tok_2", NOW + REMEMBER_S + 1)
    assert here.revoked_since(0) == {"tok_2": NOW + REMEMBER_S + 1}


def test_pinned_session_is_kept_until_its_last_token_is_over(opened: Open) -> None:
    store = opened()
    store.pin("digest", '{"voice":"marin"}', NOW + 60, NOW)
    store.pin("digest", '{"voice":"marin"}', NOW + 300, NOW)

    store.pin("other", "{}", NOW + 200, NOW + 100)
    assert store.pinned("digest") == '{"voice":"marin"}'

    store.pin("third", "{}", NOW + 900, NOW + 300)
    assert store.pinned("digest") is None


def test_room_for_pinned_sessions_is_bounded(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PINNED_SESSIONS", 1)
    store = opened()
    store.pin("digest", "{}", NOW + 60, NOW)

    with pytest.raises(TooMany):
        store.pin("other", "{}", NOW + 60, NOW)
    store.pin("digest", "{}", NOW + 90, NOW)


def test_locked_store_refuses_in_bounded_time_and_accepts_nothing(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "STORE_WAIT_S", 0.01)
    store = opened()
    other = sqlite3.connect(tmp_path / STORE_FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(TooMany) as caught:
        store.redeem(claims(), NOW)

    other.execute("ROLLBACK")
    other.close()
    assert caught.value.status == 503
    assert accepted(store, claims())


def test_only_the_owner_can_read_the_file_and_its_journal(tmp_path: Path, opened: Open) -> None:
    store = opened()
    store.redeem(claims(), NOW)

    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


def test_file_that_is_no_store_is_named(tmp_path: Path, opened: Open) -> None:
    (tmp_path / STORE_FILE).write_text("not a database, but long enough to be looked at as one" * 20)

    with pytest.raises(ConfigError, match=STORE_FILE):
        opened()
