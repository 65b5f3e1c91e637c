"""`relay serve`: one process, or several on one port, until a signal says otherwise."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from relay import config as configuration
from relay.config import Config
from relay.errors import ConfigError
from token_service.policy import is_loopback


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0: any free one.")] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (TOML).")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where keys and used tokens are kept.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes on this port.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM).")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its private key (PEM).")] = None,
) -> None:
    """Run the relay.

    Says `relay ready on http://HOST:PORT` on standard error when it accepts. SIGTERM lets turns end before it leaves;
    a second one does not wait. Exit codes: 0 drained, 1 did not drain or start, 2 wrong configuration.
    """
    options = {"host": host, "port": port, "data_dir": data_dir, "workers": workers,
               "tls_cert": tls_cert, "tls_key": tls_key}
    settings = configuration.load(config, options)
    key = development_key(settings)
    from relay.net.process import serve_alone, serve_together  # what follows takes most of a second to load

    raise typer.Exit((serve_together if settings.server.workers > 1 else serve_alone)(settings, key))


def development_key(config: Config) -> str | None:
    """The key that callers on this machine may use, if there is one; a new one is printed, this once.

    Raises:
        ConfigError: nobody could be told from anybody: reachable from elsewhere, and no keys configured.
    """
    given = os.environ.get("RELAY_DEV_KEY")
    if not is_loopback(config.server.host):
        if not config.server.keys:
            raise ConfigError(
                f"server.keys: the relay would be reachable from elsewhere ({config.server.host}) without configured "
                "keys; the development key is for loopback only. `relay token --hash-key` makes one."
            )
        return None
    if given or config.server.keys:
        return given
    key = "rk_dev_" + secrets.token_hex(16)
    print(f"relay development key: {key}", file=sys.stderr, flush=True)
    return key
