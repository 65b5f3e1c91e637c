"""The process: everything built, one port open, and all of it taken down again in order."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from aiohttp import web

from relay import limits, routing
from relay.config import Config
from relay.errors import ConfigError
from relay.net import doors, pages
from relay.net.admission import Admission, bounded
from relay.net.auth import Authenticator, RevocationWatch
from relay.net.house import HOUSE, House
from relay.net.planning import describe_session
from relay.net.tasks import spawn
from relay.net.tools.runner import ToolRunner
from relay.net.upstream import client_session
from token_service import doors as token_doors
from token_service.service import TokenService

log = logging.getLogger("relay.server")

HTTP_LIMITS: dict[str, Any] = {
    "keepalive_timeout": limits.HANDSHAKE_DEADLINE_S,  # counts from the connection, so a slow head is not waited for
    "max_line_size": limits.MAX_HEADER_BYTES,
    "max_field_size": limits.MAX_HEADER_BYTES,
    "lingering_time": 1.0,
    "access_log": None,  # a request line may carry a token
}


@asynccontextmanager
async def open_house(config: Config, *, port: int, dev_key: str | None) -> AsyncIterator[House]:
    """Everything that calls need, running; closed again on leaving.

    Args:
        port: the port that is listened on, where the configured one is 0.
        dev_key: good for loopback callers only; None: there is none.

    Raises:
        ConfigError: the data directory, a tool or a key file cannot be used.
    """
    from os import environ

    from relay.net.engines import LocalEngines
    from relay.net.judge import SpeechJudge

    async with AsyncExitStack() as stack:
        try:
            service = TokenService.open(config, port=port, dev_key=dev_key)
        except OSError as error:
            raise ConfigError(f"server.data_dir: {error.strerror}", str(config.server.data_dir)) from None
        stack.callback(service.close)
        service.resolve = lambda name: routing.resolve(config, name).name
        service.describe_session = describe_session
        tools = ToolRunner(config, environ)
        stack.push_async_callback(tools.stop)
        await tools.start()
        judge = SpeechJudge()
        judge.start()
        stack.callback(judge.stop)
        engines = LocalEngines()
        stack.push_async_callback(engines.stop)
        await engines.start()
        pool = await stack.enter_async_context(client_session())
        house = House(config, Authenticator(service), tools, judge if judge.available else None, engines, pool,
                      Admission(config.server.max_sessions))
        watch = spawn(RevocationWatch(house.authenticator, house.revoke).run(), name="revocations")
        stack.callback(watch.cancel)
        yield house


def application(house: House) -> web.Application:
    """All routes over `house`."""
    app = web.Application(middlewares=[pages.shaped_errors])
    app[HOUSE] = house
    app.add_routes([*doors.routes(), *token_doors.routes(house.authenticator.service), *pages.routes()])
    return app


@asynccontextmanager
async def listening(
    house: House, listener: socket.socket, tls: ssl.SSLContext | None = None
) -> AsyncIterator[asyncio.Server]:
    """Accept on `listener` until the block is left; connections that are then still open are aborted."""
    runner = web.AppRunner(application(house), handle_signals=False, shutdown_timeout=0.1, **HTTP_LIMITS)
    await runner.setup()
    try:
        assert runner.server is not None
        factory = bounded(runner.server, house.admission.max_sessions + limits.MAX_HALF_OPEN)
        server = await asyncio.get_running_loop().create_server(
            factory, sock=listener, ssl=tls, backlog=limits.LISTEN_BACKLOG,
            ssl_handshake_timeout=limits.HANDSHAKE_DEADLINE_S if tls else None)
        try:
            yield server
        finally:
            server.close()
    finally:
        await runner.cleanup()


def listener_on(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A bound TCP socket, not listening yet.

    Args:
        port: 0: any free one.
        shared: other processes bind the same port; the kernel spreads connections over them (SO_REUSEPORT).

    Raises:
        OSError: the address is taken or not ours.
    """
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    return listener
