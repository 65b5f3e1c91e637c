"""Credentials as they arrive, and who is let in with them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, make_mocked_request
from multidict import CIMultiDict
from websockets.asyncio.client import connect

from relay import limits
from relay.config import Config, ServerSettings, TokenSettings
from relay.errors import Forbidden, TooMany, Unauthenticated, UnknownModel
from relay.net.auth import Authenticator, Grant, Offer, RevocationWatch, credential_of, peer_of
from token_service import policy
from token_service.service import TokenService, Wish
from token_service.store import STORE_FILE, TokenStore
from token_service.tokens import BadToken, Reason

KEY = "rk_canary-77d2"
NOW = 1_700_000_000.0
PEER = "203.0.113.9"
Open = Callable[..., Authenticator]


def offer_of(*headers: tuple[str, str]) -> Offer:
    return credential_of(make_mocked_request("GET", "/", CIMultiDict(headers)))


def protocols(value: str) -> tuple[str, str]:
    return ("Sec-WebSocket-Protocol", value)


# --- What a request offers


@pytest.mark.parametrize(("headers", "credential", "marker"), [
    ([], None, None),
    ([("Authorization", "Bearer abc")], "abc", None),
    ([("Authorization", "bearer   abc ")], "abc", None),
    ([("Authorization", "Basic abc")], None, None),
    ([("Authorization", "Bearer ")], None, None),
    ([("Cookie", "token=abc")], None, None),
    ([protocols("ai-gateway-realtime.v1, ai-gateway-auth.abc")], "abc", "ai-gateway-realtime.v1"),
    ([protocols("ai-gateway-speech.v1,ai-gateway-auth.abc,ai-gateway-team.YWNtZQ")], "abc", "ai-gateway-speech.v1"),
    ([protocols("ai-gateway-auth.abc, ai-gateway-transcription.v1")], "abc", "ai-gateway-transcription.v1"),
    ([protocols("ai-gateway-realtime.v1"), protocols("ai-gateway-auth.abc")], "abc", "ai-gateway-realtime.v1"),
    ([protocols("realtime, openai-insecure-api-key.ek_a.b-c_d")], "ek_a.b-c_d", "realtime"),
    ([protocols("ai-gateway-realtime.v1")], None, "ai-gateway-realtime.v1"),
    ([protocols("ai-gateway-realtime.v1, ai-gateway-auth.")], None, "ai-gateway-realtime.v1"),
    ([protocols("ai-gateway-auth.abc")], "abc", None),
    ([protocols("graphql-ws, , ,")], None, None),
    ([protocols("ai-gateway-auth.first, ai-gateway-auth.second")], "first", None),
])  # fmt: skip
def test_credential_and_the_marker_to_select(
    headers: list[tuple[str, str]], credential: str | None, marker: str | None
) -> None:
    offer = offer_of(*headers)

    assert (offer.credential, offer.marker, offer.conflict) == (credential, marker, False)


@pytest.mark.parametrize("headers", [
    [("Authorization", "Bearer one"), protocols("ai-gateway-realtime.v1, ai-gateway-auth.two")],
    [("Authorization", "Bearer one"), protocols("realtime, openai-insecure-api-key.two")],
    [protocols("ai-gateway-auth.one, openai-insecure-api-key.two")],
    [("Authorization", "Bearer one"), ("Authorization", "Bearer two")],
])  # fmt: skip
def test_two_credentials_that_differ_are_a_conflict_and_equal_ones_are_not(headers: list[tuple[str, str]]) -> None:
    assert offer_of(*headers).conflict
    assert not offer_of(*[(name, value.replace("two", "one")) for name, value in headers]).conflict


@pytest.mark.parametrize(("headers", "team"), [
    ([protocols("ai-gateway-realtime.v1, ai-gateway-team.YWNtZQ")], "acme"),
    ([protocols("ai-gateway-team.w6k")], "é"),
    ([protocols("ai-gateway-team.!!!")], None),
    ([protocols("ai-gateway-team._w")], None),
    ([protocols("ai-gateway-team.")], None),
    ([protocols("ai-gateway-team.A")], None),
    ([("x-vercel-ai-gateway-team", "team_7")], "team_7"),
    ([("x-vercel-ai-gateway-team", "team_7"), protocols("ai-gateway-team.YWNtZQ")], "acme"),
])  # fmt: skip
def test_team_is_decoded_or_absent_and_never_an_error(headers: list[tuple[str, str]], team: str | None) -> None:
    assert offer_of(*headers).team == team


def test_peer_behind_a_proxy_is_nobody_local() -> None:
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"):
        assert peer_of(make_mocked_request("GET", "/", CIMultiDict({name: "127.0.0.1"}))) == ""


# --- Who is let in


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Opens an authenticator on the data directory of this test; several are several workers, or restarts."""
    services: list[TokenService] = []

    def open_(clock: Callable[[], float] = lambda: NOW, dev_key: str | None = None, **settings: Any) -> Authenticator:
        tokens = {name: settings.pop(name) for name in ("jwks_path", "audience", "issuer") if name in settings}
        server = {"data_dir": tmp_path, "host": "0.0.0.0", "keys": (policy.hash_of(KEY),), **settings}  # noqa: S104
        config = Config(server=ServerSettings(**server), tokens=TokenSettings(**tokens))
        service = replace(TokenService.open(config, dev_key=dev_key), clock=clock, resolve=resolve)
        services.append(service)
        return Authenticator(service)

    yield open_
    for service in services:
        service.close()


def resolve(model: str) -> str:
    if model == "nobody/knows":
        raise UnknownModel("There is no model of this name.", param=model)
    return policy.qualified(model)


def mint(auth: Authenticator, model: str = "local/agent", **wish: Any) -> str:
    return auth.service.mint(Wish(model, **wish), policy.CLI).token


def admit(auth: Authenticator, credential: str | None, model: str = "local/agent", **how: Any) -> Grant:
    asked = {"surface": "realtime", "origin": None, "peer": PEER, **how}
    return asyncio.run(auth.admit(Offer(credential), model=model, **asked))


def refusal(auth: Authenticator, credential: str | None, model: str = "local/agent", **how: Any) -> Reason:
    """The reason for us; the caller reads the same text for every one of them."""
    with pytest.raises(Unauthenticated) as caught:
        admit(auth, credential, model, **how)
    assert str(caught.value) == "The credential is missing, wrong, expired or already used."
    assert isinstance(caught.value.__cause__, BadToken)
    return caught.value.__cause__.reason


def test_api_key_is_let_in_with_the_model_it_names(opened: Open) -> None:
    grant = admit(opened(), KEY, "gpt-realtime")

    assert (grant.identity.id, grant.model) == ("key_" + policy.hash_of(KEY)[7:19], "openai/gpt-realtime")
    assert (grant.jti, grant.session, grant.max_s) == (None, {}, limits.MAX_SESSION_S)


def test_token_is_let_in_with_what_it_pins(opened: Open) -> None:
    auth = opened()
    token = mint(auth, session={"voice": "a"}, max_s=90, metadata={"user": "7"})

    grant = admit(auth, token)

    assert (grant.model, grant.session, grant.max_s) == ("local/agent", {"voice": "a"}, 90)
    assert grant.metadata == {"user": "7"}
    assert grant.identity == policy.CLI
    assert grant.jti is not None


def test_token_without_a_model_takes_the_callers_and_with_one_needs_none(opened: Open) -> None:
    auth = opened()

    assert admit(auth, mint(auth, ""), "gpt-realtime").model == "openai/gpt-realtime"
    assert admit(auth, mint(auth, "agent/demo"), "").model == "agent/demo"
    assert admit(auth, mint(auth, "gpt-realtime"), "openai/gpt-realtime").model == "openai/gpt-realtime"


def test_large_pinned_session_is_fetched_from_the_store(opened: Open, tmp_path: Path) -> None:
    auth, session = opened(), {"instructions": "Be brief. " * 1000}
    token = mint(auth, session=session)

    assert admit(opened(), token).session == session


@pytest.mark.parametrize(("credential", "expected"), [
    (None, Reason.MISSING), ("", Reason.MISSING), ("rk_wrong", Reason.API_KEY), ("vcst_", Reason.FORM),
    ("a.b.c", Reason.FORM), ("x" * 5_000_000, Reason.LENGTH), (KEY + " ", Reason.API_KEY),
])  # fmt: skip
def test_bad_credential_is_refused(opened: Open, credential: str | None, expected: Reason) -> None:
    auth = opened()

    assert refusal(auth, credential) is expected
    assert auth.refusals == {expected: 1}


def test_conflicting_credentials_are_refused_though_both_are_good(opened: Open) -> None:
    with pytest.raises(Unauthenticated):
        asyncio.run(opened().admit(Offer(KEY, conflict=True), "realtime", "m", None, PEER))


def test_development_key_is_good_on_loopback_only(opened: Open) -> None:
    auth = opened(dev_key="dev")

    assert admit(auth, "dev", peer="127.0.0.1").identity == policy.DEV
    assert refusal(auth, "dev") is Reason.API_KEY
    assert refusal(auth, "dev", peer="") is Reason.API_KEY


def test_token_of_another_issuer_or_audience_is_refused(opened: Open) -> None:
    auth = opened()

    assert refusal(auth, mint(opened(issuer="other"))) is Reason.ISSUER
    assert refusal(auth, mint(opened(audience="other"))) is Reason.AUDIENCE


def test_expired_token_is_refused(opened: Open) -> None:
    token = mint(opened(), life_s=10)

    assert refusal(opened(clock=lambda: NOW + 10 + limits.TOKEN_LEEWAY_S), token) is Reason.EXPIRED


@pytest.mark.parametrize(("asked", "code"), [
    ({"surface": "speech"}, "forbidden"), ({"model": "openai/gpt-realtime"}, "forbidden"),
    ({"origin": "https://evil.example"}, "origin_refused"), ({"origin": "null"}, "origin_refused"),
])  # fmt: skip
def test_good_token_for_something_else_is_forbidden_and_not_used_up(
    opened: Open, asked: dict[str, Any], code: str
) -> None:
    auth = opened()
    token = mint(auth)

    with pytest.raises(Forbidden) as caught:
        admit(auth, token, **{"model": "local/agent", **asked})

    assert caught.value.code == code
    assert admit(auth, token).model == "local/agent"


def test_unknown_model_is_told_to_good_credentials_only(opened: Open) -> None:
    auth = opened()

    assert refusal(auth, "rk_wrong", "nobody/knows") is Reason.API_KEY
    with pytest.raises(UnknownModel):
        admit(auth, KEY, "nobody/knows")


def test_api_key_from_a_foreign_page_is_forbidden(opened: Open) -> None:
    auth = opened(allowed_origins=("https://app.example",))

    assert admit(auth, KEY, origin="https://app.example").jti is None
    with pytest.raises(Forbidden):
        admit(auth, KEY, origin="https://evil.example")


def test_origins_of_a_token_are_the_only_ones_that_may_use_it(opened: Open) -> None:
    auth = opened(allowed_origins=("https://other.example",))
    token = mint(auth, origins=("https://app.example",))

    for origin in (None, "https://other.example", "https://app.example.evil.example", "HTTPS://app.example"):
        with pytest.raises(Forbidden):
            admit(auth, token, origin=origin)
    assert admit(auth, token, origin="https://app.example").jti


# --- Once


def test_second_use_is_refused_also_by_another_worker_and_after_a_restart(opened: Open) -> None:
    auth, other = opened(), opened()
    token = mint(auth)
    admit(auth, token)

    assert refusal(auth, token) is Reason.REPLAYED
    assert refusal(other, token) is Reason.REPLAYED
    assert refusal(opened(), token.replace("vcst_", "ek_")) is Reason.REPLAYED


def test_token_for_many_uses_is_accepted_until_it_expires(opened: Open) -> None:
    auth = opened()
    token = mint(auth, single_use=False, life_s=30)

    assert {admit(auth, token).jti, admit(auth, token).jti} == {admit(opened(), token).jti}
    assert refusal(opened(clock=lambda: NOW + 40), token) is Reason.EXPIRED


def test_fifty_racing_callers_have_one_winner(opened: Open) -> None:
    auth = opened()
    offer = Offer(mint(auth))

    async def race() -> list[Any]:
        asked = (auth.admit(offer, "realtime", "local/agent", None, PEER) for _ in range(50))
        return await asyncio.gather(*asked, return_exceptions=True)

    results = asyncio.run(race())
    assert sum(isinstance(each, Grant) for each in results) == 1
    assert sum(isinstance(each, Unauthenticated) for each in results) == 49
    assert auth.refusals == {Reason.REPLAYED: 49}


def worker(data_dir: Path, token: str) -> int:
    """One worker process in which eight callers race."""
    service = TokenService.open(Config(server=ServerSettings(data_dir=data_dir)))
    auth = Authenticator(replace(service, clock=lambda: NOW))

    async def race() -> int:
        asked = (auth.admit(Offer(token), "realtime", "local/agent", None, PEER) for _ in range(8))
        return sum(isinstance(each, Grant) for each in await asyncio.gather(*asked, return_exceptions=True))

    with closing(service):
        return asyncio.run(race())


def test_racing_worker_processes_have_one_winner(opened: Open, tmp_path: Path) -> None:
    token = mint(opened())

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert sum(pool.map(worker, [tmp_path] * 4, [token] * 4)) == 1


def test_full_store_is_503_and_the_token_stays_good(opened: Open, tmp_path: Path) -> None:
    auth = opened()
    token, roomy = mint(auth), auth.service.store
    with closing(TokenStore(tmp_path / STORE_FILE, size=0)) as full:
        auth.service.store = full
        with pytest.raises(TooMany) as caught:
            admit(auth, token)

    auth.service.store = roomy
    assert caught.value.status == 503
    assert admit(auth, token).jti


# --- Rotation, revocation, another token service


def test_rotation_in_another_process_is_followed_without_a_pause(opened: Open) -> None:
    minting, relay = opened(), opened()
    before = mint(minting)
    minting.service.keys.rotate(NOW)

    assert admit(relay, mint(minting)).kid != admit(relay, before).kid


def watched(auth: Authenticator) -> Mapping[str, int]:
    heard: dict[str, int] = {}
    asyncio.run(RevocationWatch(auth, heard.update).look())
    return heard


@pytest.mark.parametrize("what", ["jti", "identity", "kid"])
def test_revocation_by_another_process_reaches_the_live_grant(opened: Open, what: str) -> None:
    relay, elsewhere = opened(), opened()
    grant = admit(relay, mint(relay))
    unrelated = Grant(policy.Identity("key_other"), "m", jti="tok_other", kid="sig_other", issued_at=int(NOW))
    assert watched(relay) == {}

    elsewhere.service.revoke({"jti": str(grant.jti), "identity": grant.identity.id, "kid": grant.kid}[what])

    assert grant.revoked_by(watched(relay))
    assert not unrelated.revoked_by(watched(relay))


def test_revocation_is_told_to_sessions_that_were_opening_meanwhile(opened: Open) -> None:
    relay, later = opened(), opened(clock=lambda: NOW + limits.HANDSHAKE_DEADLINE_S)
    much_later = opened(clock=lambda: NOW + limits.HANDSHAKE_DEADLINE_S + 1)
    relay.service.revoke("tok_1")

    assert (len(watched(later)), len(watched(much_later))) == (1, 0)


def test_what_a_key_opens_after_its_revocation_lives(opened: Open) -> None:
    relay, later = opened(), opened(clock=lambda: NOW + 1)
    relay.service.revoke("key_cli")

    assert refusal(relay, mint(relay)) is Reason.REVOKED
    assert not admit(later, mint(later)).revoked_by(watched(later))


def test_watch_goes_on_when_the_store_fails_once(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REVOCATION_POLL_S", 0.001)
    auth, heard = opened(), list[Mapping[str, int]]()
    read, failures = auth.service.store.revoked_since, [TooMany("full", status=503)]

    def flaky(since: float) -> dict[str, int]:
        if failures:
            raise failures.pop()
        return read(since)

    monkeypatch.setattr(auth.service.store, "revoked_since", flaky)
    auth.service.revoke("tok_1")

    async def run() -> None:
        told = asyncio.Event()
        watch = RevocationWatch(auth, lambda revoked: (heard.append(revoked), told.set())[1])
        running = asyncio.create_task(watch.run())
        await asyncio.wait_for(told.wait(), 5)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(run())
    assert heard[0] == {"tok_1": int(NOW)}
    assert failures == []


def test_relay_with_a_copy_of_the_jwks_verifies_tokens_of_a_service_elsewhere(opened: Open, tmp_path: Path) -> None:
    elsewhere = opened(data_dir=tmp_path / "elsewhere")
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(elsewhere.service.keys.jwks(NOW)))
    token = mint(elsewhere)

    assert refusal(opened(), token) is Reason.KEY
    relay = opened(jwks_path=jwks)
    assert admit(relay, token).jti
    assert refusal(relay, token) is Reason.REPLAYED
    assert admit(relay, mint(relay)).jti


def test_pinned_session_that_did_not_travel_is_a_refusal(opened: Open, tmp_path: Path) -> None:
    elsewhere = opened(data_dir=tmp_path / "elsewhere")
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps(elsewhere.service.keys.jwks(NOW)))

    token = mint(elsewhere, session={"instructions": "x" * 9000})

    assert refusal(opened(jwks_path=jwks), token) is Reason.SESSION


# --- On a real socket, and in the logs


def test_socket_answers_with_the_marker_only_and_never_with_the_credential(opened: Open) -> None:
    auth = opened(host="127.0.0.1")

    async def door(request: web.Request) -> web.WebSocketResponse:
        offer = credential_of(request)
        grant = await auth.admit(offer, "realtime", request.query["m"], request.headers.get("Origin"), peer_of(request))
        socket = web.WebSocketResponse(protocols=(offer.marker,) if offer.marker else ())
        await socket.prepare(request)
        await socket.send_str(grant.model)
        await socket.close()
        return socket

    async def run() -> None:
        app = web.Application()
        app.router.add_get("/", door)
        async with TestServer(app) as server:
            url = f"ws://{server.host}:{server.port}/?m=local%2Fagent"
            for marker, prefix in (("ai-gateway-realtime.v1", "ai-gateway-auth."),
                                   ("realtime", "openai-insecure-api-key.")):
                token = mint(auth)
                async with connect(url, subprotocols=[marker, prefix + token]) as socket:  # type: ignore[list-item]
                    assert (socket.subprotocol, await socket.recv()) == (marker, "local/agent")
                    assert socket.response is not None
                    assert token not in str(socket.response.headers)
            headers = {"Authorization": f"Bearer {KEY}"}
            async with connect(url, additional_headers=headers) as socket:
                assert socket.response is not None
                assert "Sec-WebSocket-Protocol" not in socket.response.headers

    asyncio.run(run())


def test_credentials_are_in_no_log_repr_or_error(opened: Open, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    auth = opened()
    token = mint(auth, session={"instructions": "canary-words"}, metadata={"user": "canary-user"})
    grant = admit(auth, token)
    seen = [repr(Offer(KEY)), repr(Offer(token)), repr(grant)]
    for credential in (token, KEY + "x", "canary.a.b", f"vcst_{KEY}"):
        with pytest.raises(Unauthenticated) as caught:
            admit(auth, credential)
        seen += [str(caught.value), repr(caught.value), repr(caught.value.__cause__)]
    seen += [caplog.text, *(str(vars(record)) for record in caplog.records)]

    assert "token_replayed" in "".join(seen)
    for secret in (KEY, token, token[5:], "canary"):
        assert secret not in "".join(seen)
