"""The token service alone: `python -m token_service --config relay.toml --port 8081`.

It needs the relay's data directory (keys, replay store, revocations), and `server.public_url` for the setup door, which
answers with the relay's address. A relay that cannot share it takes
`tokens.jwks_path`: it then verifies with a copy of `/.well-known/jwks.json`, keeps its own replay store, learns nothing
of revocations made here, and refuses tokens whose pinned session was too large to travel in them.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from relay import config as configuration
from relay import limits
from relay.config import Config
from relay.errors import CallerError, ConfigError
from token_service.doors import refusal, routes
from token_service.policy import is_loopback
from token_service.service import TokenService

Door = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger("token_service")


@web.middleware
async def _own_words(request: web.Request, handler: Door) -> web.StreamResponse:
    """Errors that no door answered for, in the shape that both protocols read."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        answer = CallerError(error.reason, code="not_found" if error.status == 404 else "invalid_request")
        answer.status = error.status
    except Exception as error:
        log.error("door failed", extra={"error": type(error).__name__})
        answer = CallerError("The token service failed.", code="internal_error")
        answer.status, answer.type = 500, "internal_server_error"
    return refusal(answer, "gateway")


def application(service: TokenService) -> web.Application:
    """The doors of the service, and nothing else."""
    app = web.Application(middlewares=[_own_words], client_max_size=limits.MAX_MINT_BODY_BYTES)
    app.add_routes(routes(service))
    return app


async def serve(config: Config, dev_key: str | None) -> None:
    """Serve until SIGTERM or SIGINT; requests that run are answered before it returns."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    service = TokenService.open(config, dev_key=dev_key)
    runner = web.AppRunner(application(service), access_log=None, shutdown_timeout=limits.CLOSE_DEADLINE_S)
    try:
        await runner.setup()
        site = web.TCPSite(runner, config.server.host, config.server.port, ssl_context=_tls(config))
        await site.start()
        port = runner.addresses[0][1]
        scheme = "https" if config.server.tls_cert else "http"
        sys.stderr.write(f"token service ready on {scheme}://{config.server.host}:{port}\n")
        sys.stderr.flush()
        await stop.wait()
    finally:
        await runner.cleanup()
        service.close()


def _tls(config: Config) -> ssl.SSLContext | None:
    if config.server.tls_cert is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(config.server.tls_cert, config.server.tls_key)
    return context


def main(arguments: list[str] | None = None) -> int:
    """Exit code: 0 after a signal, 1 when the address is taken, 2 when the configuration is wrong."""
    parser = argparse.ArgumentParser("python -m token_service", description="The token service of Voice Relay.")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--data-dir", type=Path)
    chosen = parser.parse_args(arguments)
    try:
        overrides = {"host": chosen.host, "port": chosen.port, "data_dir": chosen.data_dir}
        config = configuration.load(chosen.config, overrides)
        dev_key = os.environ.get("RELAY_DEV_KEY")
        if not config.server.keys and not (dev_key and is_loopback(config.server.host)):
            raise ConfigError("server.keys: at least one API key is needed (relay token --hash-key)")
        asyncio.run(serve(config, dev_key))
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{error.strerror or error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
