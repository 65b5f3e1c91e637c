"""A whole relay in this process, on a port of its own, with real tokens, doors and sockets and scripted engines."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from aiohttp import ClientSession
from websockets.asyncio.client import ClientConnection, connect

from bench.upstreams.openai_sim import simulate
from relay import config as configuration
from relay import routing
from relay.net import server
from relay.net.admission import Admission
from relay.net.auth import Authenticator
from relay.net.house import House
from relay.net.tasks import running
from relay.net.tools.runner import ToolRunner
from relay.net.upstream import client_session
from tests.fakes.scripted_engines import ScriptedEngines
from token_service.service import TokenService

KEY = "rk_test"


@dataclass
class Relay:
    """A relay that accepts."""

    house: House
    engines: ScriptedEngines
    port: int

    @property
    def ws(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def openai(self, model: str = "local/agent", **options: Any) -> connect:
        """A caller at the OpenAI door. Without a bound on its queue, so that it finds the close frame behind audio that
        the test does not read."""
        headers = {"Authorization": f"Bearer {KEY}"}
        return connect(f"{self.ws}/v1/realtime?model={model}", additional_headers=headers, compression=None,
                       max_queue=None, **options)

    def gateway(self, model: str = "local/agent", token: str = KEY, **options: Any) -> connect:
        """A caller at the AI SDK door."""
        offered = ["ai-gateway-realtime.v1", f"ai-gateway-auth.{token}"]
        return connect(f"{self.ws}/v4/ai/realtime-model?ai-model-id={model}", subprotocols=offered, compression=None,
                       max_queue=None, **options)


@asynccontextmanager
async def relay_running(folder: Path, toml: str = "") -> AsyncIterator[Relay]:
    """A relay with the configuration `toml`, whose upstream `sim` is a simulated OpenAI server in mode `talk`."""
    async with AsyncExitStack() as stack:
        sim_port: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        sim = asyncio.create_task(simulate("127.0.0.1", 0, "talk", sim_port))
        stack.push_async_callback(asyncio.wait, [sim])
        stack.callback(sim.cancel)
        path = folder / "relay.toml"
        path.write_text(f'[providers.sim]\nbase_url = "http://127.0.0.1:{await sim_port}/v1"\n{toml}')
        config = configuration.load(path, {"data_dir": str(folder / "data"), "port": 0}, {})
        listener = server.listener_on("127.0.0.1", 0)
        port = listener.getsockname()[1]
        service = TokenService.open(config, port=port, dev_key=KEY)
        stack.callback(service.close)
        service.resolve = lambda name: routing.resolve(config, name).name
        tools = ToolRunner(config, {})
        await tools.start()
        stack.push_async_callback(tools.stop)
        pool = await stack.enter_async_context(client_session())
        engines = ScriptedEngines()
        house = House(config, Authenticator(service), tools, None, engines, pool,
                      Admission(config.server.max_sessions))
        await stack.enter_async_context(server.listening(house, listener))
        yield Relay(house, engines, port)


def with_relay(folder: Path, scenario: Callable[[Relay], Coroutine[Any, Any, None]], toml: str = "") -> None:
    """Run a scenario with a relay, and check that nothing of it is left."""

    async def whole() -> None:
        async with relay_running(folder, toml) as relay:
            await scenario(relay)
            async with asyncio.timeout(2):
                await relay.house.empty.wait()
            assert not relay.engines.open
            assert relay.house.admission.sessions == 0
        left = [task.get_name() for task in running()]
        assert not left, f"tasks left: {left}"

    asyncio.run(whole())


async def said(socket: ClientConnection, *types: str) -> dict[str, Any]:
    """The next event of one of these types, within two seconds; others are passed over."""
    async with asyncio.timeout(2):
        while True:
            event: dict[str, Any] = orjson.loads(await socket.recv())
            if event["type"] in types:
                return event


async def say(socket: ClientConnection, kind: str, **members: Any) -> None:
    """Send one event."""
    await socket.send(orjson.dumps({"type": kind, **members}).decode())


async def get(relay: Relay, path: str, **options: Any) -> tuple[int, dict[str, str], Any]:
    """Status, headers and JSON body of a GET."""
    async with ClientSession() as session, session.get(relay.http + path, **options) as response:
        body = await response.read()
        is_json = response.content_type == "application/json"
        return response.status, dict(response.headers), orjson.loads(body) if is_json else body


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
