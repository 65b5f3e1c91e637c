"""How many may come in."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from aiohttp import web

from relay import limits
from relay.errors import TooMany
from relay.net.admission import Admission, bounded


def test_session_above_the_limit_is_told_when_to_come_back() -> None:
    admission = Admission(2)
    admission.enter()
    admission.enter()
    with pytest.raises(TooMany) as full:
        admission.enter()
    assert full.value.status == 503
    assert full.value.retry_after_s
    admission.leave()
    admission.enter()


def test_announced_restart_still_lets_callers_in_until_it_refuses() -> None:
    admission = Admission(2)
    admission.draining = True
    admission.enter()
    admission.refusing = True
    with pytest.raises(TooMany) as refused:
        admission.enter()
    assert refused.value.status == 503


def test_file_limit_is_raised_and_bounds_the_sessions() -> None:
    script = """if True:
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1_024))
        from relay.net.admission import Admission
        most = Admission(100_000).max_sessions
        print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], most)
    """  # in a process of its own, since a hard limit cannot be taken back
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    files, most = map(int, said.split())
    assert files == 1_024
    assert most > 100
    assert 2 * most + limits.RESERVED_FILES + limits.MAX_HALF_OPEN <= 1_024


def test_connection_above_the_bound_is_refused_unread_and_others_live() -> None:
    async def scenario() -> None:
        async def hello(request: web.BaseRequest) -> web.Response:
            return web.Response(text="hello")

        server = web.Server(hello)
        listening = await asyncio.get_running_loop().create_server(bounded(server, 1), "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.01)
        other_reader, other = await asyncio.open_connection("127.0.0.1", port)
        refusal = await other_reader.read()
        assert refusal.startswith(b"HTTP/1.1 503 ")
        assert b"Retry-After" in refusal
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"hello")
        for each in (writer, other):
            each.close()
        listening.close()
        await server.shutdown(0.1)

    asyncio.run(scenario())
