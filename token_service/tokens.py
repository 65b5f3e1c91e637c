"""The token itself: an Ed25519-signed JWT (RFC 7519) of type `relay+jwt`, and everything that may be wrong with one.

PyJWT checks the signature; what it accepts beyond RFC 8725 is refused here: foreign algorithms and types, keys named
by anything but an id of the ring, missing or mistyped claims, lives longer than `limits.TOKEN_MAX_LIFE_S`, tokens that
are too long to be worth decoding. Time is an argument.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any, Literal, get_args

import jwt

from relay import limits
from token_service.keys import SigningKey, SigningKeys

Surface = Literal["realtime", "transcription", "speech"]
FindKey = Callable[[str, float], SigningKey | None]
SURFACES: tuple[str, ...] = get_args(Surface)

GATEWAY_PREFIX = "vcst_"
"""What AI SDK callers get (ai-gateway.md 2.3); not part of the JWT and not signed."""
OPENAI_PREFIX = "ek_"
"""What OpenAI callers get (openai-realtime.md 2.1)."""

ALGORITHM = "EdDSA"
TYPE = "relay+jwt"


class Reason(Enum):
    """Why a credential was refused: for logs and metrics. Callers read one text for all of them."""

    MISSING = "token_missing"
    CONFLICT = "token_conflict"
    LENGTH = "token_length"
    FORM = "token_form"
    ALGORITHM = "token_alg"
    TYPE = "token_typ"
    KEY = "token_kid"
    SIGNATURE = "token_signature"
    ISSUER = "token_iss"
    AUDIENCE = "token_aud"
    CLAIM = "token_claim"
    LIFE = "token_life"
    EARLY = "token_early"
    EXPIRED = "token_expired"
    SURFACE = "token_surface"
    MODEL = "token_model"
    ORIGIN = "token_origin"
    SESSION = "token_session"
    REPLAYED = "token_replayed"
    REVOKED = "token_revoked"
    API_KEY = "key_unknown"


class BadToken(Exception):
    """A token that is not accepted; the reason is for us, not for whoever sent it."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. Times are Unix seconds."""

    iss: str
    aud: str
    sub: str
    """Whoever had it minted: the id of an API key, `key_cli` or `key_setup`."""
    iat: int
    nbf: int
    exp: int
    """The end of opening a session; a session that is open goes on."""
    surface: Surface
    model: str
    """`provider/model` or `agent/NAME`; "": whatever the caller names."""
    jti: str = field(default_factory=lambda: "tok_" + secrets.token_hex(16))
    session: Mapping[str, Any] = field(default_factory=dict)
    """Settings that the session starts with, in the words of the door that minted; opaque here."""
    session_ref: str = ""
    """SHA-256 of such settings where they are too large for a token; they are in the store."""
    max_s: float = limits.MAX_SESSION_S
    """The longest session, in seconds."""
    origins: tuple[str, ...] = ()
    """The only origins that may use it; (): those that the relay allows."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    single_use: bool = True
    kid: str = ""
    """The key that signed it; a header, not a claim."""


def looks_like_token(credential: str) -> bool:
    """Whether this is meant to be a token of ours (and not an API key)."""
    return credential.startswith((GATEWAY_PREFIX, OPENAI_PREFIX)) or credential.count(".") == 2


def sign(claims: Claims, keys: SigningKeys) -> str:
    """The JWT that says `claims`, signed with the key that signs now. Only characters `A-Za-z0-9-_.`."""
    key = keys.signer()
    payload = asdict(claims)
    del payload["kid"]
    if not claims.session_ref:
        del payload["session_ref"]
    assert key.private is not None
    return jwt.encode(payload, key.private, ALGORITHM, headers={"typ": TYPE, "kid": key.kid})


def verify(token: str, find: FindKey, *, issuer: str, audience: str, now: float) -> Claims:
    """What a token says, if it is ours and now is its time. Neither use nor revocation is known here.

    Args:
        token: with or without its prefix; anything at all may be in it.
        find: the key of an id at a Unix time: `SigningKeys.find`.
        now: Unix seconds; `limits.TOKEN_LEEWAY_S` of difference between clocks is allowed.

    Raises:
        BadToken: it is not; never anything else.
    """
    if len(token) > limits.MAX_TOKEN_CHARS:
        raise BadToken(Reason.LENGTH)
    token = token.removeprefix(GATEWAY_PREFIX).removeprefix(OPENAI_PREFIX)
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.DecodeError, ValueError, RecursionError):
        raise BadToken(Reason.FORM) from None
    except jwt.PyJWTError:  # a `crit` that PyJWT does not know, or a mistyped header
        raise BadToken(Reason.ALGORITHM) from None
    if header.get("alg") != ALGORITHM or "crit" in header:
        raise BadToken(Reason.ALGORITHM)
    if header.get("typ") != TYPE:
        raise BadToken(Reason.TYPE)
    kid = header.get("kid")
    key = find(kid, now) if isinstance(kid, str) else None
    if key is None:
        raise BadToken(Reason.KEY)
    # Times are checked below: PyJWT would read the clock itself, and takes strings and 1e300 for times.
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "strict_aud": True,
                    "require": ["iss", "aud", "sub", "iat", "nbf", "exp", "jti"]}
    try:
        payload = jwt.decode(token, key.public, [ALGORITHM], options, issuer=issuer, audience=audience)
    except jwt.InvalidSignatureError:
        raise BadToken(Reason.SIGNATURE) from None
    except jwt.InvalidIssuerError:
        raise BadToken(Reason.ISSUER) from None
    except jwt.InvalidAudienceError:
        raise BadToken(Reason.AUDIENCE) from None
    except jwt.DecodeError:
        raise BadToken(Reason.FORM) from None
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise BadToken(Reason.CLAIM) from None
    claims = _claims(payload, key.kid)
    _check_times(claims, now)
    return claims


_SHAPES: dict[str, tuple[type, ...]] = {
    "iss": (str,), "aud": (str,), "sub": (str,), "jti": (str,), "iat": (int,), "nbf": (int,), "exp": (int,),
    "surface": (str,), "model": (str,), "session": (dict,), "session_ref": (str,), "max_s": (int, float),
    "origins": (list,), "metadata": (dict,), "single_use": (bool,),
}  # fmt: skip


def _claims(payload: dict[str, Any], kid: str) -> Claims:
    """The payload as claims; every claim is there and of its type, whoever signed it."""
    payload.setdefault("session_ref", "")
    for name, types in _SHAPES.items():
        value = payload.get(name)
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise BadToken(Reason.CLAIM)
    lists_are_text = all(isinstance(each, str) for each in [*payload["origins"], *payload["metadata"].values()])
    if payload["surface"] not in SURFACES or not 0 < payload["max_s"] <= limits.MAX_SESSION_S or not lists_are_text:
        raise BadToken(Reason.CLAIM)
    known = {name: payload[name] for name in _SHAPES}
    return Claims(**{**known, "origins": tuple(payload["origins"]), "kid": kid})


def _check_times(claims: Claims, now: float) -> None:
    if not 0 < claims.exp - claims.iat <= limits.TOKEN_MAX_LIFE_S:
        raise BadToken(Reason.LIFE)
    if max(claims.nbf, claims.iat) > now + limits.TOKEN_LEEWAY_S:
        raise BadToken(Reason.EARLY)
    if now >= claims.exp + limits.TOKEN_LEEWAY_S:
        raise BadToken(Reason.EXPIRED)
