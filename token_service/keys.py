"""The signing keys: an Ed25519 key ring in a JWK Set file, shared by every process on one data directory.

The file is RFC 7517 with two members of ours: `created_at` and, once a newer key signs, `retire_at` (Unix seconds). The
last key without `retire_at` signs. A set without private members (`d`), as `GET /.well-known/jwks.json` gives it, only
verifies. A writer holds `<file>.new` by exclusive creation and renames it, so readers always see a whole ring.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jwt.algorithms import OKPAlgorithm

from relay import limits
from relay.errors import ConfigError

RING_FILE = "token-keys.json"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key of the ring; `private` is None where only the public half is known."""

    kid: str
    public: Ed25519PublicKey
    private: Ed25519PrivateKey | None = None
    created_at: int = 0
    retire_at: int | None = None
    """Unix seconds from which tokens of this key are no longer accepted; None: in use."""

    def alive(self, now: float) -> bool:
        """Whether tokens of this key are accepted at Unix time `now`."""
        return self.retire_at is None or now < self.retire_at

    def jwk(self, *, private: bool) -> dict[str, Any]:
        """As a JWK (RFC 8037), with the private half only when asked for."""
        key = self.private if private and self.private else self.public
        numbers = dict(OKPAlgorithm.to_jwk(key, as_dict=True))
        return {**numbers, "kid": self.kid, "alg": "EdDSA", "use": "sig"}


class SigningKeys:
    """Keys by id. Every read answers from memory; `refresh` follows the file.

    Raises:
        ConfigError: the file cannot be read, is no key set, or holds private keys that others can read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._keys: dict[str, SigningKey] = {}
        self._seen: tuple[int, int, int] | None = None
        self._load()

    @classmethod
    def open(cls, path: Path, now: float) -> SigningKeys:
        """The ring at `path`; made with one key when there is none. Safe when many processes do it at once."""
        if not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _rewriting(path) as write:
                if not path.exists():
                    write([_fresh_key(now)])
        return cls(path)

    def find(self, kid: str, now: float) -> SigningKey | None:
        """The key of this id, if tokens of it are accepted at Unix time `now`.

        An unknown id makes us look whether our own file has changed, and never names a file itself.
        """
        if kid not in self._keys:
            self.refresh()
        key = self._keys.get(kid)
        return key if key and key.alive(now) else None

    def signer(self) -> SigningKey:
        """The key that signs now; it has its private half.

        Raises:
            ConfigError: the ring has public keys only.
        """
        self.refresh()
        for key in reversed(self._keys.values()):
            if key.private and key.retire_at is None:
                return key
        raise ConfigError("has no key that can sign", str(self.path))

    def jwks(self, now: float) -> dict[str, Any]:
        """The public keys that verify at Unix time `now`, as a JWK Set."""
        self.refresh()
        return {"keys": [key.jwk(private=False) for key in self._keys.values() if key.alive(now)]}

    def rotate(self, now: float) -> str:
        """Make a new key that signs from now on; the old one verifies until its last token has expired.

        Returns:
            The new key's id.
        """
        last_token_ends = int(now) + limits.TOKEN_MAX_LIFE_S + 2 * limits.TOKEN_LEEWAY_S
        return self._replace_signer(now, retire_at=last_token_ends)

    def retire(self, kid: str, now: float) -> bool:
        """Stop accepting a key at once (it leaked); if it signs, a new one takes over. False: no such key."""
        self.refresh()
        if kid not in self._keys:
            return False
        self._replace_signer(now, retire_at=int(now), only=kid)
        return True

    def refresh(self) -> None:
        """Read the file again if it changed. A file that is gone or broken leaves the ring as it was."""
        with suppress(OSError, ConfigError):
            if _version(self.path) != self._seen:
                self._load()

    def _replace_signer(self, now: float, *, retire_at: int, only: str | None = None) -> str:
        with _rewriting(self.path) as write:
            self._load()
            keys = [
                replace(key, retire_at=retire_at)
                if (key.kid == only if only else key.retire_at is None)
                else key
                for key in self._keys.values()
                if key.alive(now)
            ]
            if all(key.retire_at is not None for key in keys):
                keys.append(_fresh_key(now))
            write(keys)
        self._load()
        return self.signer().kid

    def _load(self) -> None:
        try:
            seen = _version(self.path)
            entries = json.loads(self.path.read_bytes())["keys"]
            keys = [_parsed(entry) for entry in entries]
        except OSError as error:
            raise ConfigError(error.strerror or "cannot be read", str(self.path)) from None
        except (ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
            raise ConfigError("is not a JWK Set of Ed25519 keys", str(self.path)) from None
        if any(key.private for key in keys) and self.path.stat().st_mode & 0o077:
            raise ConfigError("holds private keys and may be read by others; run chmod 600", str(self.path))
        self._keys, self._seen = {key.kid: key for key in keys}, seen


def _fresh_key(now: float) -> SigningKey:
    private = Ed25519PrivateKey.generate()
    return SigningKey("sig_" + secrets.token_hex(8), private.public_key(), private, created_at=int(now))


def _parsed(entry: dict[str, Any]) -> SigningKey:
    key = OKPAlgorithm.from_jwk(entry)
    kid = entry["kid"]
    private = key if isinstance(key, Ed25519PrivateKey) else None
    public = private.public_key() if private else key
    if not isinstance(public, Ed25519PublicKey) or not isinstance(kid, str):
        raise ValueError(kid)
    created_at, retire_at = entry.get("created_at", 0), entry.get("retire_at")
    return SigningKey(kid, public, private, int(created_at), None if retire_at is None else int(retire_at))


def _version(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_ino, status.st_size


@contextmanager
def _rewriting(path: Path) -> Iterator[Callable[[list[SigningKey]], None]]:
    """Hold the right to rewrite `path` and give a function that does it.

    The new file itself is the lock: it is created exclusively, and renamed over the old one.
    """
    draft = path.with_name(path.name + ".new")
    for attempt in range(200):
        try:
            handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            break
        except FileExistsError:
            if attempt == 199:
                raise ConfigError("is left from an interrupted change of keys; remove it", str(draft)) from None
            time.sleep(0.01)

    written = False

    def write(keys: list[SigningKey]) -> None:
        nonlocal written
        ring = [
            {**key.jwk(private=True), "created_at": key.created_at, "retire_at": key.retire_at} for key in keys
        ]
        os.write(handle, json.dumps({"keys": ring}, indent=1).encode())
        os.fsync(handle)
        draft.replace(path)
        written = True  # from here on the name belongs to the next writer

    try:
        yield write
    finally:
        os.close(handle)
        if not written:
            draft.unlink()
