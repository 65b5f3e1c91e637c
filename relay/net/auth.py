"""Who opens this socket, and what they may do: the one place where a credential is read from a request.

`credential_of` finds it (Authorization, or one of the subprotocols of ai-gateway.md 3 and openai-realtime.md 1.2);
`Authenticator.admit` checks it and gives a `Grant`; `RevocationWatch` tells when a grant is worth nothing any more.
Reasons for a refusal are logged and counted by name, callers read one text for all of them. Credentials are in no
`repr`, log line or error.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from relay import limits
from relay.errors import CallerError, CloseReason, Forbidden, Unauthenticated
from token_service import tokens
from token_service.doors import peer_of
from token_service.keys import SigningKey, SigningKeys
from token_service.policy import Identity
from token_service.service import TokenService
from token_service.tokens import BadToken, Claims, Reason, Surface

__all__ = ["Authenticator", "Grant", "Offer", "RevocationWatch", "credential_of", "peer_of"]

log = logging.getLogger("relay.auth")

MARKERS = ("ai-gateway-realtime.v1", "ai-gateway-transcription.v1", "ai-gateway-speech.v1", "realtime")
"""Subprotocols that name a protocol; everything else that is offered is a credential, a team or unknown."""

CREDENTIALS = ("ai-gateway-auth.", "openai-insecure-api-key.")
"""Subprotocols that carry a credential; never selected, so never sent back."""

TEAM = "ai-gateway-team."

NOT_ALLOWED = {
    Reason.ORIGIN: ("This origin is not allowed.", "origin_refused"),
    Reason.SURFACE: ("The token is for another surface.", "forbidden"),
    Reason.MODEL: ("The token is for another model.", "forbidden"),
}
"""Refusals of a good credential; all others read alike."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What a caller showed and offered when it asked for a socket."""

    credential: str | None = field(default=None, repr=False)
    conflict: bool = False
    """Two credentials that differ; `admit` refuses."""
    marker: str | None = None
    """The subprotocol to select in the answer; None: no `Sec-WebSocket-Protocol` header at all."""
    team: str | None = None
    same_origin: str = ""
    """What the relay is called in this request: scheme and Host."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a caller may do."""

    identity: Identity
    model: str
    """Full name; "" when neither the token nor the caller named one."""
    session: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Settings that the token pins, in the words of the door that minted it."""
    max_s: float = limits.MAX_SESSION_S
    jti: str | None = None
    """Id of the token; None for an API key."""
    metadata: Mapping[str, str] = field(default_factory=dict, repr=False)
    issued_at: int = 0
    """Unix seconds: when the token was minted, or the API key shown."""
    kid: str = ""
    """The key that signed the token."""

    def revoked_by(self, revoked: Mapping[str, int]) -> bool:
        """Whether this grant is among what a `RevocationWatch` reports."""
        return any(revoked.get(name, -1) >= self.issued_at for name in (self.jti, self.identity.id, self.kid) if name)


def credential_of(request: web.Request) -> Offer:
    """What is offered in a request; whatever is malformed counts as absent. Never raises.

    Sources: ai-gateway.md 3.1 to 3.4, openai-realtime.md 1.2.
    """
    offered = [each.strip() for each in ",".join(request.headers.getall("Sec-WebSocket-Protocol", ())).split(",")]
    bearers = [value[7:].strip() for value in request.headers.getall("Authorization", ())
               if value[:7].lower() == "bearer "]
    inside = [_after(offered, prefix) for prefix in CREDENTIALS]
    shown = [credential for credential in (*inside, *bearers) if credential]
    return Offer(
        credential=shown[0] if shown else None,
        conflict=len(set(shown)) > 1,
        marker=next((each for each in offered if each in MARKERS), None),
        team=_team(_after(offered, TEAM)) or request.headers.get("x-vercel-ai-gateway-team") or None,
        same_origin=f"{request.scheme}://{request.host}",
    )


def _after(offered: list[str], prefix: str) -> str:
    return next((each.removeprefix(prefix) for each in offered if each.startswith(prefix)), "")


def _team(encoded: str) -> str:
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:
        return ""


class Authenticator:
    """Checks credentials against API keys, key ring, replay store and origins.

    Verifies with the service's own key ring and, where `tokens.jwks_path` is set, with the keys of that file.

    Raises:
        ConfigError: `tokens.jwks_path` cannot be used.
    """

    def __init__(self, service: TokenService) -> None:
        self.service = service
        self.refusals: Counter[Reason] = Counter()
        """How often what was wrong."""
        elsewhere = service.config.tokens.jwks_path
        self.rings = [service.keys, *([SigningKeys(elsewhere.expanduser())] if elsewhere else [])]

    async def admit(self, offer: Offer, surface: Surface, model: str, origin: str | None, peer: str) -> Grant:
        """Let a caller open one session, or refuse it. A token for single use is used up by this, and by nothing else:
        look at everything that can be refused without it (drain, capacity) before.

        Args:
            model: as the caller named it; "" when it did not.
            origin: the Origin header.
            peer: as of `peer_of`.

        Raises:
            Unauthenticated: the credential is missing, wrong, expired, used or revoked; which of these is not said.
            Forbidden: a good credential, but not for this origin, surface or model.
            UnknownModel: a good credential, but no such model.
            TooMany: 503; the token store is full or cannot be used.
        """
        try:
            return await self._admit(offer, surface, model, origin, peer)
        except BadToken as bad:
            self.refusals[bad.reason] += 1
            log.info("credential refused", extra={"reason": bad.reason.value})
            if bad.reason in NOT_ALLOWED:
                text, code = NOT_ALLOWED[bad.reason]
                raise Forbidden(text, code=code) from bad
            raise Unauthenticated(CloseReason.UNAUTHENTICATED.text) from bad

    async def _admit(self, offer: Offer, surface: Surface, model: str, origin: str | None, peer: str) -> Grant:
        if offer.conflict:
            raise BadToken(Reason.CONFLICT)
        if not offer.credential:
            raise BadToken(Reason.MISSING)
        if len(offer.credential) > limits.MAX_TOKEN_CHARS:
            raise BadToken(Reason.LENGTH)
        identity = self.service.api_keys.check(offer.credential, peer)
        if identity:
            if not self.service.origins.may_connect(origin, offer.same_origin):
                raise BadToken(Reason.ORIGIN)
            named = self.service.resolve(model) if model else ""
            return Grant(identity, named, issued_at=int(self.service.clock()))
        if not tokens.looks_like_token(offer.credential):
            raise BadToken(Reason.API_KEY)
        claims = self._claims(offer.credential)
        if claims.surface != surface:
            raise BadToken(Reason.SURFACE)
        if claims.model and model and self.service.resolve(model) != claims.model:
            raise BadToken(Reason.MODEL)
        if claims.origins:
            welcome = origin in claims.origins
        else:
            welcome = self.service.origins.may_connect(origin, offer.same_origin)
        if not welcome:
            raise BadToken(Reason.ORIGIN)
        named = claims.model or (self.service.resolve(model) if model else "")
        session = await asyncio.to_thread(self._redeem, claims)
        return Grant(
            identity=Identity(claims.sub),
            model=named,
            session=session,
            max_s=claims.max_s,
            jti=claims.jti,
            metadata=claims.metadata,
            issued_at=claims.iat,
            kid=claims.kid,
        )

    def _claims(self, credential: str) -> Claims:
        settings = self.service.config.tokens
        return tokens.verify(
            credential, self._key, issuer=settings.issuer, audience=settings.audience, now=self.service.clock()
        )

    def _key(self, kid: str, now: float) -> SigningKey | None:
        return next((key for ring in self.rings if (key := ring.find(kid, now))), None)

    def _redeem(self, claims: Claims) -> Mapping[str, Any]:
        """Runs in a thread: waits for the disk."""
        session = claims.session
        if claims.session_ref:
            text = self.service.store.pinned(claims.session_ref)
            if text is None:
                raise BadToken(Reason.SESSION)
            session = json.loads(text)
        self.service.store.redeem(claims, self.service.clock())
        return session


class RevocationWatch:
    """Reads what was revoked, by any process, and tells this one.

    Args:
        on_revoked: gets names and the Unix time of their revocation; ends the sessions whose `Grant.revoked_by` says
            so. It hears of each name for `limits.HANDSHAKE_DEADLINE_S`, so that a session that was being opened
            meanwhile is not missed.
    """

    def __init__(self, authenticator: Authenticator, on_revoked: Callable[[Mapping[str, int]], None]) -> None:
        self._authenticator = authenticator
        self._on_revoked = on_revoked

    async def run(self) -> None:
        """Look every `limits.REVOCATION_POLL_S` until cancelled; a store that fails is asked again."""
        while True:
            await self.look()
            await asyncio.sleep(limits.REVOCATION_POLL_S)

    async def look(self) -> None:
        """Look once; also notices retired keys."""
        try:
            revoked = await asyncio.to_thread(self._read)
        except CallerError:
            log.warning("revocations cannot be read")
            return
        if revoked:
            self._on_revoked(revoked)

    def _read(self) -> dict[str, int]:
        for ring in self._authenticator.rings:
            ring.refresh()
        service = self._authenticator.service
        return service.store.revoked_since(service.clock() - limits.HANDSHAKE_DEADLINE_S)
