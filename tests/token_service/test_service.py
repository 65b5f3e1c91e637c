"""What a token comes to say."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from relay import limits
from relay.config import Config, ServerSettings, TokenSettings
from relay.errors import CallerError, UnknownModel
from token_service import policy, tokens
from token_service.service import Minted, TokenService, Wish, echo_session
from token_service.tokens import BadToken, Claims, Reason

NOW = 1_700_000_000.0


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TokenService]:
    config = Config(server=ServerSettings(data_dir=tmp_path), tokens=TokenSettings(default_life_s=45))
    with closing(TokenService.open(config)) as service:
        yield replace(service, clock=lambda: NOW)


def read(service: TokenService, minted: Minted) -> Claims:
    return tokens.verify(minted.token, service.keys.find, issuer="voice-relay", audience="voice-relay", now=NOW)


def test_token_says_what_was_wished_for(service: TokenService) -> None:
    wish = Wish("agent/demo", "speech", 30, {"voice": "a"}, 90, ("https://a.example",), {"user": "7"}, False, "ek_")

    minted = service.mint(wish, policy.CLI)
    said = read(service, minted)

    assert minted.token.startswith("ek_")
    assert (minted.jti, minted.expires_at) == (said.jti, said.exp) == (said.jti, NOW + 30)
    assert (said.sub, said.surface, said.model, said.session) == ("key_cli", "speech", "agent/demo", {"voice": "a"})
    assert (said.max_s, said.origins, said.metadata) == (90, ("https://a.example",), {"user": "7"})
    assert not said.single_use


def test_token_is_for_one_use_and_the_configured_life_by_default(service: TokenService) -> None:
    said = read(service, service.mint(Wish("local/agent"), policy.CLI))

    assert said.single_use
    assert (said.iat, said.nbf, said.exp, said.max_s) == (NOW, NOW, NOW + 45, limits.MAX_SESSION_S)


@pytest.mark.parametrize(("wished", "given"), [(600, 300), (1e300, 300), (0.2, 1)])
def test_life_is_clamped(service: TokenService, wished: float, given: int) -> None:
    assert service.mint(Wish("local/agent", life_s=wished), policy.CLI).expires_at == NOW + given


def test_ids_differ_between_tokens(service: TokenService) -> None:
    assert len({service.mint(Wish("local/agent"), policy.CLI).jti for _ in range(20)}) == 20


def test_unknown_model_is_refused_and_known_ones_get_their_full_name(service: TokenService) -> None:
    def resolve(model: str) -> str:
        if model != "demo":
            raise UnknownModel("no such model", param=model)
        return "agent/demo"

    strict = replace(service, resolve=resolve)

    assert read(strict, strict.mint(Wish("demo"), policy.CLI)).model == "agent/demo"
    assert read(strict, strict.mint(Wish(""), policy.CLI)).model == ""
    with pytest.raises(UnknownModel):
        strict.mint(Wish("other"), policy.CLI)


def test_session_too_large_for_a_token_is_kept_in_the_store_under_its_hash(service: TokenService) -> None:
    session = {"type": "realtime", "instructions": "Be brief. " * 1000}

    minted = service.mint(Wish("local/agent", session=session), policy.CLI)
    said = read(service, minted)

    kept = service.store.pinned(said.session_ref)
    assert len(minted.token) <= limits.MAX_TOKEN_CHARS
    assert said.session == {}
    assert kept is not None
    assert json.loads(kept) == session
    assert hashlib.sha256(kept.encode()).hexdigest() == said.session_ref


@pytest.mark.parametrize("wish", [
    Wish("m/m", session={"instructions": "x" * limits.MAX_PINNED_BYTES}),
    Wish("m/m", metadata={"note": "x" * limits.MAX_TOKEN_CHARS}),
    Wish("m" * limits.MAX_TOKEN_CHARS, session={"voice": "a"}),
])  # fmt: skip
def test_more_than_fits_is_a_callers_error(service: TokenService, wish: Wish) -> None:
    with pytest.raises(CallerError) as caught:
        service.mint(wish, policy.CLI)

    assert (caught.value.status, caught.value.code) == (400, "too_large")


def test_token_is_not_in_the_repr_of_what_was_minted(service: TokenService) -> None:
    minted = service.mint(Wish("local/agent"), policy.CLI)

    assert minted.token not in repr(minted)


def test_revoking_a_signing_key_refuses_its_tokens_and_another_signs(service: TokenService) -> None:
    minted = service.mint(Wish("local/agent"), policy.CLI)
    leaked = read(service, minted).kid

    service.revoke(leaked)

    with pytest.raises(BadToken) as caught:
        read(service, minted)
    assert caught.value.reason is Reason.KEY
    assert read(service, service.mint(Wish("local/agent"), policy.CLI)).kid != leaked


@pytest.mark.parametrize(("session", "model", "shown"), [
    ({}, "", {"type": "realtime"}),
    ({"type": "transcription", "include": []}, "", {"type": "transcription", "include": []}),
    ({"type": "realtime", "model": "gpt"}, "openai/gpt", {"type": "realtime", "model": "openai/gpt"}),
])  # fmt: skip
def test_echo_shows_what_was_asked_for(session: dict[str, Any], model: str, shown: dict[str, Any]) -> None:
    assert echo_session(session, model) == shown
