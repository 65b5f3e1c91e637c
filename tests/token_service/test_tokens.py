"""Forged, foreign and untimely tokens: cases H08 to H16 of the abuse table, each with its own internal reason."""

from __future__ import annotations

import base64
import json
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from relay import limits
from token_service import tokens
from token_service.keys import SigningKeys
from token_service.tokens import BadToken, Claims, Reason

NOW = 1_700_000_000
ISS, AUD = "voice-relay", "voice-relay"
NO_KEY = object()


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> SigningKeys:
    return SigningKeys.open(tmp_path_factory.mktemp("ring") / "keys.json", NOW)


def claims(**changes: Any) -> Claims:
    return Claims(**{"iss": ISS, "aud": AUD, "sub": "key_cli", "iat": NOW, "nbf": NOW, "exp": NOW + 60,
                     "surface": "realtime", "model": "local/agent", **changes})


def payload(**changes: Any) -> dict[str, Any]:
    whole = {"iss": ISS, "aud": AUD, "sub": "key_cli", "iat": NOW, "nbf": NOW, "exp": NOW + 60, "jti": "tok_1",
             "surface": "realtime", "model": "local/agent", "session": {}, "max_s": 600, "origins": [],
             "metadata": {}, "single_use": True, **changes}
    return {name: value for name, value in whole.items() if value is not ...}


def forge(keys: SigningKeys, body: Any = None, key: Any = None, alg: str | None = "EdDSA", **header: Any) -> str:
    """A token with whatever is wrong about it; right where nothing is said."""
    signer = keys.signer()
    head = {"typ": "relay+jwt", "kid": signer.kid, **header}
    text = json.dumps(payload() if body is None else body).encode()
    chosen: Any = None if key is NO_KEY else key or signer.private
    return jwt.PyJWS().encode(text, chosen, alg, {name: value for name, value in head.items() if value is not ...})


def verify(keys: SigningKeys, token: str, now: float = NOW) -> Claims:
    return tokens.verify(token, keys.find, issuer=ISS, audience=AUD, now=now)


def reason(keys: SigningKeys, token: str, now: float = NOW) -> Reason:
    with pytest.raises(BadToken) as caught:
        verify(keys, token, now)
    return caught.value.reason


def test_signed_claims_come_back_whole(keys: SigningKeys) -> None:
    said = claims(session={"voice": "marin"}, max_s=90, origins=("https://a.example",), metadata={"user": "7"},
                  single_use=False)

    heard = verify(keys, tokens.sign(said, keys))

    assert heard.kid == keys.signer().kid
    assert {**vars_of(heard), "kid": ""} == vars_of(said)


def vars_of(claims: Claims) -> dict[str, Any]:
    return {name: getattr(claims, name) for name in Claims.__slots__}


def test_forged_baseline_is_accepted_so_that_each_refusal_below_has_one_cause(keys: SigningKeys) -> None:
    assert verify(keys, forge(keys)).jti == "tok_1"


def test_token_has_only_characters_that_a_subprotocol_may_have(keys: SigningKeys) -> None:
    token = tokens.sign(claims(session={"instructions": "é/+= ,"}), keys)

    assert re.fullmatch(r"[A-Za-z0-9._-]+", token)


@pytest.mark.parametrize("prefix", ["", "vcst_", "ek_"])
def test_either_prefix_or_none_is_taken_off(keys: SigningKeys, prefix: str) -> None:
    assert verify(keys, prefix + forge(keys)).jti == "tok_1"


def test_token_too_long_is_refused_without_decoding(keys: SigningKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jwt, "get_unverified_header", None)

    assert reason(keys, "x" * (limits.MAX_TOKEN_CHARS + 1)) is Reason.LENGTH


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "e30.e30.", "vcst_", "ek_", "é.ü.ö", "\udcff.a.b", "\x00",
                                  "W10.e30.AA", "e30.e30.AA.AA"])
def test_malformed_token_is_refused(keys: SigningKeys, text: str) -> None:
    assert reason(keys, text) in (Reason.FORM, Reason.ALGORITHM)


def test_header_that_nests_beyond_the_parser_is_refused(keys: SigningKeys) -> None:
    deep = base64.urlsafe_b64encode(b'{"a":' + b"[" * 1400 + b"]" * 1400 + b"}").decode().rstrip("=")

    assert reason(keys, f"{deep}.e30.AA") is Reason.FORM


def test_alg_none_is_refused(keys: SigningKeys) -> None:
    assert reason(keys, forge(keys, key=NO_KEY, alg="none")) is Reason.ALGORITHM


def test_hmac_keyed_with_our_public_key_is_refused(keys: SigningKeys) -> None:
    raw = keys.signer().public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    assert reason(keys, forge(keys, key=raw, alg="HS256")) is Reason.ALGORITHM


def test_crit_is_refused_whatever_it_names(keys: SigningKeys) -> None:
    assert reason(keys, with_header(forge(keys), crit=["exp"])) is Reason.ALGORITHM
    assert reason(keys, forge(keys, crit=["b64"], b64=True)) is Reason.ALGORITHM


def with_header(token: str, **members: Any) -> str:
    """The same token with a changed header; the signature no longer fits."""
    head, body, signature = token.split(".")
    whole = {**json.loads(base64.urlsafe_b64decode(head + "==")), **members}
    whole = {name: value for name, value in whole.items() if value is not ...}
    return ".".join([base64.urlsafe_b64encode(json.dumps(whole).encode()).decode().rstrip("="), body, signature])


@pytest.mark.parametrize("typ", [..., "JWT", "at+jwt", "RELAY+JWT", None])
def test_foreign_type_is_refused(keys: SigningKeys, typ: Any) -> None:
    assert reason(keys, with_header(forge(keys), typ=typ)) is Reason.TYPE


KIDS = ["../../../etc/passwd", "https://evil.example/jwks", "' OR 1=1 --", "k" * 2_500, ""]


@pytest.mark.parametrize("kid", KIDS, ids=["path", "url", "sql", "long", "empty"])
def test_kid_outside_the_ring_is_refused(keys: SigningKeys, kid: str) -> None:
    assert reason(keys, with_header(forge(keys), kid=kid)) is Reason.KEY


def test_kid_outside_the_ring_opens_no_file_and_no_socket(keys: SigningKeys) -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:  # an audit hook cannot be taken off again
        assert pool.submit(opened_by_foreign_kids, keys.path).result() == []


def opened_by_foreign_kids(path: Path) -> list[str]:
    """What the interpreter's own audit events name while tokens with foreign kids are refused."""
    keys, opened = SigningKeys(path), list[str]()
    forged = [with_header(forge(keys), kid=kid) for kid in KIDS]
    verify(keys, forge(keys))

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" or event.startswith(("socket.", "sqlite3.")):
            opened.append(f"{event} {arguments[:1]}")

    sys.addaudithook(note)
    for each in forged:
        with suppress(BadToken):
            verify(keys, each)
    refused = list(opened)
    path.read_bytes()
    assert len(opened) == 1, "the hook sees what is opened"
    return refused


def test_missing_or_mistyped_kid_is_refused(keys: SigningKeys) -> None:
    assert reason(keys, forge(keys, kid=...)) is Reason.KEY
    assert reason(keys, with_header(forge(keys), kid=7)) in (Reason.KEY, Reason.ALGORITHM)


def test_signature_of_another_key_under_our_kid_is_refused(keys: SigningKeys) -> None:
    assert reason(keys, forge(keys, key=Ed25519PrivateKey.generate())) is Reason.SIGNATURE


def test_changed_payload_is_refused(keys: SigningKeys) -> None:
    head, _, signature = forge(keys).split(".")
    _, body, _ = forge(keys, payload(model="openai/gpt-realtime-2")).split(".")

    assert reason(keys, f"{head}.{body}.{signature}") is Reason.SIGNATURE


@pytest.mark.parametrize(("changes", "expected"), [
    ({"iss": "other"}, Reason.ISSUER),
    ({"aud": "other"}, Reason.AUDIENCE),
    ({"aud": ["voice-relay"]}, Reason.AUDIENCE),
    *[({name: ...}, Reason.CLAIM) for name in payload()],
    *[({name: []}, Reason.CLAIM) for name in payload() if name not in ("origins", "aud", "iss")],
    ({"exp": str(NOW + 60)}, Reason.CLAIM),
    ({"exp": 1e300}, Reason.CLAIM),
    ({"exp": True}, Reason.CLAIM),
    ({"max_s": True}, Reason.CLAIM),
    ({"max_s": 0}, Reason.CLAIM),
    ({"max_s": 1e9}, Reason.CLAIM),
    ({"max_s": float("nan")}, Reason.CLAIM),
    ({"single_use": 1}, Reason.CLAIM),
    ({"surface": "phone"}, Reason.CLAIM),
    ({"origins": [7]}, Reason.CLAIM),
    ({"metadata": {"user": 7}}, Reason.CLAIM),
    ({"exp": NOW + limits.TOKEN_MAX_LIFE_S + 1}, Reason.LIFE),
    ({"exp": NOW}, Reason.LIFE),
    ({"exp": 10**30}, Reason.LIFE),
    ({"nbf": NOW + 6}, Reason.EARLY),
    ({"iat": NOW + 6}, Reason.EARLY),
])  # fmt: skip
def test_wrong_claim_is_refused_though_well_signed(
    keys: SigningKeys, changes: dict[str, Any], expected: Reason
) -> None:
    assert reason(keys, forge(keys, payload(**changes))) is expected


@pytest.mark.parametrize("body", [[], 7, "text", None, {}])
def test_payload_that_is_no_set_of_claims_is_refused(keys: SigningKeys, body: Any) -> None:
    signer: Any = keys.signer()
    head = {"typ": "relay+jwt", "kid": signer.kid}
    token = jwt.PyJWS().encode(json.dumps(body).encode(), signer.private, "EdDSA", head)

    assert reason(keys, token) in (Reason.FORM, Reason.CLAIM)


def test_clocks_may_differ_by_the_leeway_and_no_more(keys: SigningKeys) -> None:
    token, leeway = forge(keys), limits.TOKEN_LEEWAY_S

    assert verify(keys, token, NOW - leeway).jti
    assert verify(keys, token, NOW + 60 + leeway - 1).jti
    assert reason(keys, token, NOW - leeway - 1) is Reason.EARLY
    assert reason(keys, token, NOW + 60 + leeway) is Reason.EXPIRED


def test_only_the_argument_is_asked_for_the_time(keys: SigningKeys) -> None:
    assert time.time() > NOW + 60
    assert verify(keys, forge(keys), NOW).exp == NOW + 60


def test_key_that_was_retired_is_refused(tmp_path: Path) -> None:
    keys = SigningKeys.open(tmp_path / "keys.json", NOW)
    token = forge(keys)
    keys.retire(keys.signer().kid, NOW)

    assert reason(keys, token) is Reason.KEY


def test_key_that_was_rotated_out_is_accepted_until_its_tokens_are_over(tmp_path: Path) -> None:
    keys = SigningKeys.open(tmp_path / "keys.json", NOW)
    before = forge(keys)
    keys.rotate(NOW)

    assert verify(keys, before).jti
    assert verify(keys, forge(keys)).kid != verify(keys, before).kid


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,80}\.[A-Za-z0-9_-]{0,90}"))
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_reason_and_nothing_else(keys: SigningKeys, text: str) -> None:
    with pytest.raises(BadToken):
        verify(keys, text)


@given(st.dictionaries(st.sampled_from(sorted(payload())), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9), st.lists, max_leaves=4), max_size=3))
@settings(max_examples=200, deadline=None)
def test_any_signed_claims_are_accepted_or_given_a_reason(keys: SigningKeys, changes: dict[str, Any]) -> None:
    with suppress(BadToken):
        assert verify(keys, forge(keys, payload(**changes))).surface in tokens.SURFACES
