"""What has to be remembered about tokens: one SQLite file for all worker processes, and across restarts.

Used ids are kept until their tokens have expired; when `size` of them are alive, further tokens are refused rather
than live ids forgotten. SQLite's write lock makes exactly one of many racing callers the first. The file has to be on a
local disk. Every call may wait for another process (`limits.STORE_WAIT_S`) and for the disk: from the event loop, call
it in a thread. Times are Unix seconds.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from relay import limits
from relay.errors import ConfigError, TooMany
from token_service.tokens import BadToken, Claims, Reason

STORE_FILE = "tokens.sqlite3"

SCHEMA = """
CREATE TABLE IF NOT EXISTS used (jti TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS used_until ON used (until);
CREATE TABLE IF NOT EXISTS room (only INTEGER PRIMARY KEY CHECK (only = 1), taken INTEGER NOT NULL);
INSERT OR IGNORE INTO room VALUES (1, 0);
CREATE TABLE IF NOT EXISTS revoked (name TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS revoked_at ON revoked (at);
CREATE TABLE IF NOT EXISTS pinned (digest TEXT PRIMARY KEY, session TEXT NOT NULL, until INTEGER NOT NULL);
"""

PURGE_ROWS = 64
"""Expired ids that one redemption clears away: more than the one it adds, and never a long wait."""

REMEMBER_S = limits.TOKEN_MAX_LIFE_S + 2 * limits.TOKEN_LEEWAY_S
"""How long a revocation is kept: no token minted before it lives longer."""


class TokenStore:
    """Used ids, revoked names and pinned sessions. Any thread may call.

    Raises (every method):
        TooMany: 503; the store is full, locked for too long or its disk fails. Nothing was accepted.
    """

    def __init__(self, path: Path, size: int = limits.REPLAY_STORE_SIZE) -> None:
        self.size = size
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(
                path, timeout=limits.STORE_WAIT_S, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"cannot be used as the token store: {error}", str(path)) from None

    def close(self) -> None:
        """Give the file back; the store is of no use afterwards."""
        with self._lock:
            self._db.close()

    def redeem(self, claims: Claims, now: float) -> None:
        """Accept a verified token: once if it is for single use, and never after a revocation.

        Raises:
            BadToken: used before, or revoked.
        """
        with self._writing() as db:
            names = (claims.jti, claims.sub, claims.kid)
            if db.execute("SELECT 1 FROM revoked WHERE name IN (?, ?, ?) AND at >= ?", (*names, claims.iat)).fetchone():
                raise BadToken(Reason.REVOKED)
            if not claims.single_use:
                return
            until = claims.exp + limits.TOKEN_LEEWAY_S + 1
            if not db.execute("INSERT OR IGNORE INTO used VALUES (?, ?)", (claims.jti, until)).rowcount:
                raise BadToken(Reason.REPLAYED)
            gone = db.execute(
                "DELETE FROM used WHERE jti IN (SELECT jti FROM used WHERE until <= ? ORDER BY until LIMIT ?)",
                (int(now), PURGE_ROWS),
            ).rowcount
            taken = 1 - gone
            if not db.execute(
                "UPDATE room SET taken = taken + ?1 WHERE taken + ?1 <= ?2", (taken, self.size)
            ).rowcount:
                raise _full(until - now)

    def revoke(self, name: str, now: float) -> None:
        """Accept nothing any more that was minted up to now and has this name.

        Args:
            name: a token id (`tok_…`), the id of the API key that had it minted (`key_…`) or of the key that signed it
                (`sig_…`).
        """
        with self._writing() as db:
            db.execute("DELETE FROM revoked WHERE at < ?", (int(now) - REMEMBER_S,))
            if db.execute("SELECT COUNT(*) FROM revoked").fetchone()[0] >= self.size:
                raise _full(REMEMBER_S)
            db.execute("INSERT OR REPLACE INTO revoked VALUES (?, ?)", (name, int(now)))

    def revoked_since(self, since: float) -> dict[str, int]:
        """Names revoked at or after `since`, with the time of it."""
        with self._reading() as db:
            return dict(db.execute("SELECT name, at FROM revoked WHERE at >= ?", (int(since),)))

    def pin(self, digest: str, session: str, until: float, now: float) -> None:
        """Keep session settings (JSON) under their hash until all tokens that point to them have expired."""
        with self._writing() as db:
            db.execute("DELETE FROM pinned WHERE until <= ?", (int(now),))
            if db.execute("UPDATE pinned SET until = MAX(until, ?) WHERE digest = ?", (int(until), digest)).rowcount:
                return
            if db.execute("SELECT COUNT(*) FROM pinned").fetchone()[0] >= limits.MAX_PINNED_SESSIONS:
                raise _full(REMEMBER_S)
            db.execute("INSERT INTO pinned VALUES (?, ?, ?)", (digest, session, int(until)))

    def pinned(self, digest: str) -> str | None:
        """Session settings (JSON) by their hash."""
        with self._reading() as db:
            row = db.execute("SELECT session FROM pinned WHERE digest = ?", (digest,)).fetchone()
            return row[0] if row else None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        if not self._lock.acquire(timeout=limits.STORE_WAIT_S):
            raise _unusable()
        try:
            yield self._db
        except sqlite3.Error as error:
            raise _unusable() from error
        finally:
            self._lock.release()

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction; whatever is raised inside undoes it."""
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:
                    db.execute("ROLLBACK")
                raise


def _unusable() -> TooMany:
    return TooMany("The token store cannot be used at the moment.", status=503)


def _full(wait_s: float) -> TooMany:
    return TooMany("The token store is full; try again later.", retry_after_s=max(1, int(wait_s)), status=503)
