"""Who may ask: API keys, origins, addresses. Pure; time is an argument."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from relay import limits
from relay.config import Config


@dataclass(frozen=True, slots=True)
class Identity:
    """On whose behalf something is done."""

    id: str
    """`key_<12 hex digits>` of a configured API key; `key_dev`, `key_cli` or `key_setup`. Not a secret."""


DEV, CLI, SETUP = Identity("key_dev"), Identity("key_cli"), Identity("key_setup")


class KeyRing:
    """The API keys, as hashes; and the development key, which is good for loopback peers only.

    Args:
        hashed: `sha256:<64 hex digits>` each, as in the configuration.
        dev_key: in clear, or None.
    """

    def __init__(self, hashed: Iterable[str], dev_key: str | None = None) -> None:
        self._keys = [(bytes.fromhex(each.removeprefix("sha256:")), Identity("key_" + each[7:19])) for each in hashed]
        self._dev = hashlib.sha256(dev_key.encode()).digest() if dev_key else None

    def check(self, key: str, peer: str = "") -> Identity | None:
        """Whose key this is; None if nobody's. Takes as long for a wrong key as for a right one.

        Args:
            peer: the address it came from, as of `doors.peer_of`; "" counts as not loopback.
        """
        digest = hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()
        found: Identity | None = None
        for known, identity in self._keys:
            if hmac.compare_digest(known, digest):
                found = identity
        if self._dev and hmac.compare_digest(self._dev, digest) and is_loopback(peer):
            found = DEV
        return found


def hash_of(key: str) -> str:
    """How an API key is written in the configuration."""
    return "sha256:" + hashlib.sha256(key.encode()).hexdigest()


def is_loopback(host: str) -> bool:
    """Whether this address, or the name `localhost`, is this machine and nothing else."""
    try:
        address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return host == "localhost"
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@dataclass(frozen=True, slots=True)
class Origins:
    """Which browser origins are welcome. Compared exactly, as text: no case folding, no suffixes, never `null`."""

    allowed: frozenset[str]
    """May open sockets."""
    setup: frozenset[str]
    """May fetch tokens at the setup door without a key."""
    own: frozenset[str]
    """The relay's own pages: known from the configuration, never from what a request says."""
    loopback: bool
    """Only this machine can reach the relay."""

    @classmethod
    def of(cls, config: Config, port: int) -> Origins:
        """As configured.

        Args:
            port: the port that is listened on; the configured one may be 0.
        """
        server = config.server
        loopback = is_loopback(server.host)
        scheme = "https" if server.tls_cert else "http"
        tail = "" if port == {"http": 80, "https": 443}[scheme] else f":{port}"
        own = {f"{scheme}://{host}{tail}" for host in ("127.0.0.1", "localhost", "[::1]")} if loopback else set()
        if server.public_url:
            own.add("{0.scheme}://{0.netloc}".format(urlsplit(server.public_url)))
        return cls(frozenset(server.allowed_origins), frozenset(config.tokens.setup_origins), frozenset(own), loopback)

    def may_connect(self, origin: str | None, same_origin: str) -> bool:
        """Whether a page of this origin may open a socket. No origin: not a browser, and credentials are never cookies.

        Args:
            same_origin: what the relay itself is called in this very request (scheme and Host).
        """
        if origin is None or origin in self.allowed or origin in self.own:
            return True
        if self.loopback:
            return is_loopback(origin_host(origin))
        return origin == same_origin

    def may_set_up(self, origin: str | None, host: str, peer: str) -> bool:
        """Whether a page of this origin may fetch tokens without a key."""
        return origin in self.setup or self.is_playground(origin, host, peer)

    def is_playground(self, origin: str | None, host: str, peer: str) -> bool:
        """Whether this is our own page, on a relay that only this machine reaches.

        The Host has to be the same, since a name that was rebound to 127.0.0.1 would come with its own; `peer` is ""
        when a proxy says that it forwards.
        """
        if not self.loopback or origin not in self.own or origin is None:
            return False
        return is_loopback(origin_host(origin)) and origin.endswith("://" + host) and is_loopback(peer)


def origin_host(origin: str) -> str:
    """The host of an origin; "" if it is none."""
    try:
        parts = urlsplit(origin)
        return parts.hostname or "" if parts.scheme in ("http", "https") and not parts.path else ""
    except ValueError:
        return ""


class MintRate:
    """How often each address may mint: a bucket of a minute's tokens that refills steadily. IPv6 counts by /64.

    Args:
        per_minute: tokens.
        addresses: how many are counted at once.
    """

    def __init__(self, per_minute: int, addresses: int = limits.MINT_ADDRESSES) -> None:
        self._per_minute = per_minute
        self._addresses = addresses
        self._ready_at: OrderedDict[str, float] = OrderedDict()
        """When the bucket of an address will be full again; bounded by `addresses`."""

    def wait_s(self, address: str, now: float) -> int:
        """0, and the mint counts; else in how many whole seconds to try again."""
        key = _network(address)
        cost_s = 60.0 / self._per_minute
        full_at = max(self._ready_at.get(key, now), now) + cost_s
        if full_at > now + 60.0 + 1e-6:
            return max(1, math.ceil(full_at - now - 60.0))
        if key not in self._ready_at and not self._make_room(now):
            return math.ceil(cost_s)
        self._ready_at[key] = full_at
        self._ready_at.move_to_end(key)
        return 0

    def _make_room(self, now: float) -> bool:
        while self._ready_at and next(iter(self._ready_at.values())) <= now:
            self._ready_at.popitem(last=False)
        return len(self._ready_at) < self._addresses


def _network(address: str) -> str:
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 6 and not getattr(parsed, "ipv4_mapped", None):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def qualified(model: str) -> str:
    """A model's full name: a bare id is OpenAI's (design.md section 4)."""
    return model if "/" in model or not model else "openai/" + model
