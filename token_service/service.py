"""The token service: what a token may say, and minting it. Its HTTP routes are in `doors`."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from relay import limits
from relay.config import Config
from relay.errors import CallerError
from token_service import policy, tokens
from token_service.keys import RING_FILE, SigningKeys
from token_service.policy import Identity, KeyRing, MintRate, Origins
from token_service.store import STORE_FILE, TokenStore
from token_service.tokens import Claims, Surface


def echo_session(session: Mapping[str, Any], model: str) -> dict[str, Any]:
    """What a mint answers about a session where no dialect fills in the defaults: what was asked for."""
    return {"type": "realtime", **session, **({"model": model} if model else {})}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a token is asked to say."""

    model: str
    """"": whatever the caller will name."""
    surface: Surface = "realtime"
    life_s: float | None = None
    """Seconds; longer than `limits.TOKEN_MAX_LIFE_S` is clamped. None: as configured."""
    session: Mapping[str, Any] = field(default_factory=dict)
    max_s: float | None = None
    """Seconds; longer than `limits.MAX_SESSION_S` is clamped. None: that."""
    origins: tuple[str, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    single_use: bool = True
    prefix: str = tokens.GATEWAY_PREFIX


@dataclass(frozen=True, slots=True)
class Minted:
    """A new token. Its text is a credential and is not part of the `repr`."""

    token: str = field(repr=False)
    jti: str
    expires_at: int
    """Unix seconds."""


@dataclass
class TokenService:
    """Everything that minting needs; build it with `open`."""

    config: Config
    keys: SigningKeys
    store: TokenStore
    api_keys: KeyRing
    origins: Origins
    rate: MintRate
    resolve: Callable[[str], str] = policy.qualified
    """A model's full name; raises `UnknownModel` for one that does not exist."""
    describe_session: Callable[[Mapping[str, Any], str], dict[str, Any]] = echo_session
    """(session as asked for, full model name or "") -> the effective session, as openai-realtime.md 3.9 shows it.
    May raise `CallerError` for a session that cannot be."""
    clock: Callable[[], float] = time.time

    @classmethod
    def open(cls, config: Config, *, port: int | None = None, dev_key: str | None = None) -> TokenService:
        """The service on the data directory of `config`; makes key ring and store when they are missing.

        Args:
            port: the port that is listened on, where the configured one is 0.

        Raises:
            ConfigError: the data directory cannot be used.
        """
        data_dir = config.server.data_dir.expanduser()
        return cls(
            config=config,
            keys=SigningKeys.open(data_dir / RING_FILE, time.time()),
            store=TokenStore(data_dir / STORE_FILE),
            api_keys=KeyRing(config.server.keys, dev_key),
            origins=Origins.of(config, config.server.port if port is None else port),
            rate=MintRate(config.tokens.mints_per_minute),
        )

    def mint(self, wish: Wish, identity: Identity) -> Minted:
        """Make a token. May wait for the disk: from the event loop, call it in a thread.

        Raises:
            UnknownModel: `resolve` says so.
            CallerError: 400; more is pinned than a token and the store may hold.
            TooMany: 503; the store cannot keep the pinned session.
        """
        now = int(self.clock())
        life_s = self.config.tokens.default_life_s if wish.life_s is None else wish.life_s
        claims = Claims(
            iss=self.config.tokens.issuer,
            aud=self.config.tokens.audience,
            sub=identity.id,
            iat=now,
            nbf=now,
            exp=now + max(1, int(min(life_s, limits.TOKEN_MAX_LIFE_S))),
            surface=wish.surface,
            model=self.resolve(wish.model) if wish.model else "",
            session=wish.session,
            max_s=min(wish.max_s or limits.MAX_SESSION_S, limits.MAX_SESSION_S),
            origins=wish.origins,
            metadata=wish.metadata,
            single_use=wish.single_use,
        )
        token = wish.prefix + tokens.sign(claims, self.keys)
        if len(token) > limits.MAX_TOKEN_CHARS and wish.session:
            token = wish.prefix + tokens.sign(self._set_aside(claims), self.keys)
        if len(token) > limits.MAX_TOKEN_CHARS:
            raise CallerError("The token would be too large: ask for less metadata or fewer origins.", code="too_large")
        return Minted(token, claims.jti, claims.exp)

    def _set_aside(self, claims: Claims) -> Claims:
        """The same claims with the session in the store and its hash in the token."""
        text = json.dumps(claims.session, separators=(",", ":"), sort_keys=True)
        if len(text.encode()) > limits.MAX_PINNED_BYTES:
            raise CallerError(
                f"The session is larger than {limits.MAX_PINNED_BYTES} bytes of JSON.",
                code="too_large",
                param="session",
            )
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.store.pin(digest, text, claims.exp + 2 * limits.TOKEN_LEEWAY_S, self.clock())
        return replace(claims, session={}, session_ref=digest)

    def revoke(self, name: str) -> None:
        """Refuse every token of this name and end the sessions they opened. May wait for the disk.

        Args:
            name: `tok_…` one token, `key_…` all that this API key had minted, `sig_…` all that this key signed (it is
                also retired, and a new one signs).
        """
        now = self.clock()
        if name.startswith("sig_"):
            self.keys.retire(name, now)
        self.store.revoke(name, now)

    def close(self) -> None:
        """Give the files back."""
        self.store.close()
