"""What a caller may do wrong on a live socket: its dialect's error or the right close code, and nobody else notices.

Callers that stop reading, hurry or open too many sockets are in tests/relay/net, where time can be bent.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from relay import limits

pytestmark = pytest.mark.e2e

Dialect = str
OPENAI, GATEWAY = "openai", "gateway"
PATHS = {
    OPENAI: "/v1/realtime?model=local/agent",
    GATEWAY: "/v4/ai/realtime-model?ai-model-id=local/agent",
}
PING = {
    OPENAI: {"type": "response.cancel", "event_id": "ping"},
    GATEWAY: {"type": "input-audio-mute", "eventId": "ping"},
}
"""A frame that is answered with its own id, whatever else is going on."""

BAD: list[tuple[str, Dialect, Any]] = [
    ("broken JSON", OPENAI, '{"type": "response.create"'),
    ("broken JSON", GATEWAY, '{"type": "response-create"'),
    ("not an object", OPENAI, "[]"),
    ("not an object", GATEWAY, "null"),
    ("no type", OPENAI, {}),
    ("no type", GATEWAY, {}),
    ("unknown event", OPENAI, {"type": "response.explode"}),
    ("unknown event", GATEWAY, {"type": "response-explode"}),
    ("wrong type", OPENAI, {"type": "input_audio_buffer.append", "audio": 7}),
    ("wrong type", GATEWAY, {"type": "input-audio-append", "audio": 7}),
    ("bad base64", OPENAI, {"type": "input_audio_buffer.append", "audio": "!!!!"}),
    ("bad base64", GATEWAY, {"type": "input-audio-append", "audio": "AA-_"}),
    ("wrong setting", OPENAI, {"type": "session.update", "session": {"type": "realtime", "speed": "fast"}}),
    ("wrong setting", GATEWAY, {"type": "session-update", "config": {"turnDetection": {"type": "psychic"}}}),
    ("no session type", OPENAI, {"type": "session.update", "session": {"instructions": "x"}}),
    ("deep nesting", OPENAI, '{"type":' + "[" * 5_000 + "]" * 5_000 + "}"),
    ("deep nesting", GATEWAY, '{"type":' + "[" * 5_000 + "]" * 5_000 + "}"),
    ("empty commit", OPENAI, {"type": "input_audio_buffer.commit"}),
    ("empty commit", GATEWAY, {"type": "input-audio-commit"}),
    ("unknown item", OPENAI, {"type": "conversation.item.delete", "item_id": "nobody"}),
    ("truncated nothing", OPENAI, {"type": "conversation.item.truncate", "item_id": "x", "content_index": 0,
                                   "audio_end_ms": 5}),
]  # fmt: skip


@pytest.fixture
def dial(relay_server: Any) -> Iterator[Callable[..., ClientConnection]]:
    """Opens sockets to the relay in either dialect, ready to be spoken to."""
    opened: list[ClientConnection] = []

    def to(dialect: Dialect, **options: Any) -> ClientConnection:
        path = PATHS[dialect]
        headers = {"authorization": f"Bearer {relay_server.key}"}
        socket = connect(f"{relay_server.socket_url}{path}", additional_headers=headers, **options)
        opened.append(socket)
        if dialect == GATEWAY:
            socket.send(json.dumps({"type": "session-update", "config": {}}))
        assert json.loads(socket.recv(timeout=10))["type"] in ("session.created", "session-created")
        return socket

    yield to
    for socket in opened:
        socket.close()


def lives(socket: ClientConnection, dialect: Dialect) -> list[str]:
    """That the session still answers; types of what was told before the answer."""
    socket.send(json.dumps(PING[dialect]))
    told = []
    while True:
        event = json.loads(socket.recv(timeout=10))
        if "ping" in (event.get("clientEventId"), event.get("error", {}).get("event_id")):
            return told
        told.append(event["type"])


@pytest.mark.parametrize(("what", "dialect", "frame"), BAD, ids=[f"{what}-{dialect}" for what, dialect, _ in BAD])
def test_bad_frame_gets_an_error_and_the_session_lives(
    dial: Callable[..., ClientConnection], what: str, dialect: Dialect, frame: Any
) -> None:
    bystander = dial(OPENAI)
    socket = dial(dialect)
    socket.send(frame if isinstance(frame, str) else json.dumps(frame))
    assert "error" in lives(socket, dialect)
    assert "error" not in lives(bystander, OPENAI)


@pytest.mark.parametrize("dialect", [OPENAI, GATEWAY])
def test_odd_pcm_is_carried_over_not_refused(dial: Callable[..., ClientConnection], dialect: Dialect) -> None:
    socket = dial(dialect)
    kind = "input_audio_buffer.append" if dialect == OPENAI else "input-audio-append"
    for size in (961, 959, 1, 1, 963):
        socket.send(json.dumps({"type": kind, "audio": base64.b64encode(b"\0" * size).decode()}))
    assert "error" not in lives(socket, dialect)


@pytest.mark.parametrize("dialect", [OPENAI, GATEWAY])
def test_binary_where_text_belongs_is_named(dial: Callable[..., ClientConnection], dialect: Dialect) -> None:
    socket = dial(dialect)
    socket.send(b"\0\1\2\3")
    assert "error" in lives(socket, dialect)


@pytest.mark.parametrize("dialect", [OPENAI, GATEWAY])
def test_oversized_message_is_1009_and_the_others_talk_on(
    dial: Callable[..., ClientConnection], dialect: Dialect
) -> None:
    bystander, socket = dial(dialect), dial(dialect)
    with pytest.raises(ConnectionClosed) as end:
        socket.send("x" * (limits.MAX_MESSAGE_BYTES + 1))
        while True:
            socket.recv(timeout=10)
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == 1009
    assert "error" not in lives(bystander, dialect)


@pytest.mark.parametrize("dialect", [OPENAI, GATEWAY])
def test_caller_that_sends_only_rubbish_is_closed_as_a_policy_matter(
    dial: Callable[..., ClientConnection], dialect: Dialect
) -> None:
    socket = dial(dialect)
    with pytest.raises(ConnectionClosed) as end:
        for _ in range(limits.MAX_BAD_FRAMES + 2):
            socket.send("rubbish")
        while True:
            socket.recv(timeout=10)
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == 1008


def test_foreign_origin_is_refused_before_anything_else(relay_server: Any) -> None:
    headers = {"authorization": f"Bearer {relay_server.key}"}
    with pytest.raises(InvalidStatus, match="403"):
        connect(f"{relay_server.socket_url}/v1/realtime?model=local/agent", additional_headers=headers,
                origin="https://evil.example")  # type: ignore[arg-type] # fmt: skip


def test_no_credential_is_refused_in_each_dialects_way(relay_server: Any) -> None:
    with pytest.raises(InvalidStatus, match="401"):
        connect(f"{relay_server.socket_url}/v1/realtime?model=local/agent")
    socket = connect(f"{relay_server.socket_url}/v4/ai/realtime-model?ai-model-id=local/agent")
    assert json.loads(socket.recv(timeout=10))["code"] == "authentication_error"
    with pytest.raises(ConnectionClosed) as end:
        socket.recv(timeout=10)
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == 1008


def test_beta_shape_is_refused_with_4000(relay_server: Any) -> None:
    headers = {"authorization": f"Bearer {relay_server.key}", "openai-beta": "realtime=v1"}
    socket = connect(f"{relay_server.socket_url}/v1/realtime?model=local/agent", additional_headers=headers)
    assert json.loads(socket.recv(timeout=10))["error"]["code"] == "beta_api_shape_disabled"
    with pytest.raises(ConnectionClosed) as end:
        socket.recv(timeout=10)
    assert end.value.rcvd is not None
    assert end.value.rcvd.code == 4000
