"""The port: slow, oversized and broken requests, and a data directory that cannot be used."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from relay import limits
from relay.config import Config, ServerSettings
from relay.errors import ConfigError
from relay.net.server import listener_on, open_house
from tests.fakes.running_relay import KEY, Relay, said, with_relay


async def answer(relay: Relay, request: bytes, until: bytes = b"") -> bytes:
    """What the relay says to these bytes, until it hangs up or `until` has come."""
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    writer.write(request)
    try:
        async with asyncio.timeout(2):
            return await (reader.readuntil(until) if until else reader.read())
    except ConnectionError:
        return b""
    finally:
        writer.close()


UPGRADE = b"GET /v1/realtime?model=local/agent HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"


@pytest.mark.parametrize(("request_", "status"), [
    pytest.param(b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", (400, 414, 431), id="request line"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", (400, 431), id="header"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X%d: y\r\n" % n for n in range(200)) + b"\r\n",
                 (400, 431), id="many headers"),
    pytest.param(b"nonsense\r\n\r\n", (400,), id="not HTTP"),
    pytest.param(UPGRADE + b"Sec-WebSocket-Version: 13\r\nAuthorization: Bearer %b\r\n\r\n" % KEY.encode(), (400,),
                 id="no key"),
    pytest.param(UPGRADE + b"Sec-WebSocket-Version: 99\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
                 b"Authorization: Bearer %b\r\n\r\n" % KEY.encode(), (400, 426), id="wrong version"),
])
def test_broken_request_is_refused_and_never_a_fault_of_ours(
    tmp_path: Path, request_: bytes, status: tuple[int, ...]
) -> None:
    async def scenario(relay: Relay) -> None:
        assert int((await answer(relay, request_, b"\r\n")).split(b" ")[1]) in status

    with_relay(tmp_path, scenario)


@pytest.mark.parametrize("drip", [b"", b"GET / HTTP/1.1\r\nX: "])
def test_connection_without_a_whole_request_is_closed_at_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drip: bytes
) -> None:
    from relay.net import server

    monkeypatch.setitem(server.HTTP_LIMITS, "keepalive_timeout", 0.2)

    async def scenario(relay: Relay) -> None:
        assert await answer(relay, drip) == b""

    with_relay(tmp_path, scenario)


def test_handshake_deadline_is_the_one_of_the_limits() -> None:
    from relay.net import server

    assert server.HTTP_LIMITS["keepalive_timeout"] == limits.HANDSHAKE_DEADLINE_S
    assert server.HTTP_LIMITS["access_log"] is None  # a request line may carry a token


def test_half_open_connections_do_not_keep_sessions_out(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        idle = [await asyncio.open_connection("127.0.0.1", relay.port) for _ in range(limits.MAX_HALF_OPEN // 2)]
        async with relay.openai() as socket:
            await said(socket, "session.created")
        for _, writer in idle:
            writer.close()

    with_relay(tmp_path, scenario)


def test_data_directory_that_cannot_be_used_is_a_configuration_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        config = Config(server=ServerSettings(data_dir=Path("/proc/nowhere")))
        async with open_house(config, port=1, dev_key=None):
            pass

    with pytest.raises(ConfigError):
        asyncio.run(scenario())


def test_port_zero_is_any_free_one_and_shared_ports_can_be_bound_twice() -> None:
    with listener_on("127.0.0.1", 0, shared=True) as first:
        first.listen()
        port = first.getsockname()[1]
        with listener_on("127.0.0.1", port, shared=True) as second:
            assert second.getsockname()[1] == port
        with pytest.raises(OSError, match="in use"):
            listener_on("127.0.0.1", port)
