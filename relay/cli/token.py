"""`relay token`: tokens and keys, straight from the data directory; no server has to run."""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from relay import config as configuration
from relay.errors import ConfigError
from token_service import policy, tokens
from token_service.service import TokenService, Wish
from token_service.tokens import Surface


def token(
    config: Annotated[Path | None, typer.Option(help="Configuration file.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where keys and used tokens are kept.")] = None,
    model: Annotated[str, typer.Option(help="provider/model or agent/NAME; none: whatever the caller names.")] = "",
    surface: Annotated[str, typer.Option(help="realtime, transcription or speech.")] = "realtime",
    life: Annotated[float | None, typer.Option(help="Seconds in which it can be used, at most 300.")] = None,
    max_seconds: Annotated[float | None, typer.Option(help="Longest session.")] = None,
    origin: Annotated[list[str] | None, typer.Option(help="The only origin that may use it; repeatable.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="KEY=VALUE; repeatable.")] = None,
    session: Annotated[str | None, typer.Option(help="Settings to start with, as a JSON object.")] = None,
    reusable: Annotated[bool, typer.Option("--reusable", help="Good for many sessions until it expires.")] = False,
    rotate: Annotated[bool, typer.Option("--rotate", help="Sign with a new key from now on.")] = False,
    revoke: Annotated[str | None, typer.Option(help="A tok_…, key_… or sig_… id: refuse, and hang up.")] = None,
    hash_key: Annotated[bool, typer.Option("--hash-key", help="Hash an API key (stdin), or make one.")] = False,
) -> None:
    """Make a token for a caller; or rotate keys, revoke tokens, hash a key.

    The token alone goes to standard output, its id and end to standard error.
    """
    if hash_key:
        return _hash_key()
    settings = configuration.load(config, {"data_dir": data_dir})
    life_s, max_s = _positive(life, "--life"), _positive(max_seconds, "--max-seconds")
    if surface not in tokens.SURFACES:
        raise ConfigError(f"is one of {', '.join(tokens.SURFACES)}", "--surface")
    wish = Wish(
        model=model,
        surface=cast(Surface, surface),
        life_s=life_s,
        session=_json_object(session),
        max_s=max_s,
        origins=tuple(origin or ()),
        metadata=dict(_pair(each) for each in metadata or ()),
        single_use=not reusable,
    )
    service = TokenService.open(settings)
    try:
        if rotate:
            print(f"signs from now on: {service.keys.rotate(time.time())}")
        elif revoke is not None:
            if not revoke.startswith(("tok_", "key_", "sig_")):
                raise ConfigError("is an id: of a token (tok_…), an API key (key_…), a signing key (sig_…)", "--revoke")
            service.revoke(revoke)
            print(f"revoked: {revoke}")
        else:
            minted = service.mint(wish, policy.CLI)
            print(minted.token)
            print(f"id {minted.jti}, opens sessions until {time.ctime(minted.expires_at)}", file=sys.stderr)
    finally:
        service.close()


def _hash_key() -> None:
    given = "" if sys.stdin.isatty() else sys.stdin.readline().strip()
    key = given or "rk_" + secrets.token_urlsafe(32)
    if not given:
        print(f"key, shown this once: {key}")
    print(policy.hash_of(key))


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ConfigError("is KEY=VALUE", "--metadata")
    return name, value


def _positive(seconds: float | None, option: str) -> float | None:
    if seconds is not None and not seconds > 0:
        raise ConfigError("is a positive number of seconds", option)
    return seconds


def _json_object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ConfigError("is a JSON object", "--session")
    return value
