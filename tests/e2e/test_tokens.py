"""Tokens on live sockets: single use, bound, revoked in mid-call."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.request
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

pytestmark = pytest.mark.e2e


def mint(relay: Any, **wish: Any) -> dict[str, Any]:
    """A token of the AI SDK's door."""
    request = urllib.request.Request(
        f"{relay.url}/v1/realtime/client-secrets",
        json.dumps({"model": "local/agent", **wish}).encode(),
        {"authorization": f"Bearer {relay.key}", "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        told: dict[str, Any] = json.load(answer)
    return told


def call(relay: Any, token: str, **options: Any) -> ClientConnection:
    offered = ["ai-gateway-realtime.v1", f"ai-gateway-auth.{token}"]
    url = f"{relay.socket_url}/v4/ai/realtime-model?ai-model-id=local%2Fagent"
    socket = connect(url, subprotocols=offered, **options)  # type: ignore[arg-type]
    with contextlib.suppress(ConnectionClosed):  # a foreign origin may be refused before it says anything
        socket.send(json.dumps({"type": "session-update", "config": {}}))
    return socket


def heard(socket: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = json.loads(socket.recv(timeout=10))
        if event["type"] == kind:
            return event


def closed(socket: ClientConnection, within_s: float) -> tuple[int, list[str]]:
    """The close code, and the errors that came before it."""
    errors = []
    deadline = time.monotonic() + within_s
    with pytest.raises(ConnectionClosed) as end:
        while True:
            event = json.loads(socket.recv(timeout=max(0.01, deadline - time.monotonic())))
            if event["type"] == "error":
                errors.append(event["message"])
    assert end.value.rcvd is not None
    return end.value.rcvd.code, errors


def test_token_opens_one_socket_and_the_marker_alone_is_echoed(relay_server: Any) -> None:
    token = mint(relay_server)["token"]
    with call(relay_server, token) as first:
        assert first.subprotocol == "ai-gateway-realtime.v1"
        assert heard(first, "session-created")["sessionId"]
        with call(relay_server, token) as second:
            code, errors = closed(second, 5)
        assert code == 1008
        assert errors


def test_revoked_token_ends_its_live_session_within_a_second(relay_server: Any) -> None:
    minted = mint(relay_server)
    with call(relay_server, minted["token"]) as socket:
        heard(socket, "session-updated")
        request = urllib.request.Request(
            f"{relay_server.url}/v1/realtime/tokens/{minted['id']}",
            headers={"authorization": f"Bearer {relay_server.key}"},
            method="DELETE",
        )
        urllib.request.urlopen(request).close()
        code, _ = closed(socket, 1.5)
    assert code == 1008


def test_maximum_seconds_of_a_token_end_the_session(relay_server: Any) -> None:
    with call(relay_server, mint(relay_server, maxSeconds=1)["token"]) as socket:
        heard(socket, "session-updated")
        code, errors = closed(socket, 5)
    assert code == 1001
    assert errors


def test_token_of_one_origin_is_of_no_use_to_another(relay_server: Any) -> None:
    token = mint(relay_server, origins=["https://app.example"])["token"]
    with call(relay_server, token, origin="https://evil.example") as socket:
        code, _ = closed(socket, 5)
    assert code == 1008
    with call(relay_server, token, origin="https://app.example") as socket:
        heard(socket, "session-created")


def test_settings_pinned_by_a_token_are_where_the_session_starts(relay_server: Any) -> None:
    token = mint(relay_server, session={"outputModalities": ["text"]})["token"]
    with call(relay_server, token) as socket:
        heard(socket, "session-updated")
        item = {"type": "text-message", "role": "user", "text": "Hello!"}
        socket.send(json.dumps({"type": "conversation-item-create", "item": item}))
        socket.send(json.dumps({"type": "response-create"}))
        assert heard(socket, "text-done")["text"]
