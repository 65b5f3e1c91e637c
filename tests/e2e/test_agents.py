"""Agents: what the configuration pins, the caller gets, cannot change and does not see. With the OpenAI Python SDK."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import websockets.sync.client
from openai import OpenAI
from websockets.typing import Subprotocol

from tests.e2e.conftest import KEY, ROOT, Relay, running_relay

pytestmark = pytest.mark.e2e

PROMPT = "You are the desk of the Hotel Canary."


class Rooms(BaseHTTPRequestHandler):
    """The HTTP endpoint of a server tool: remembers what it was asked."""

    asked: list[tuple[str | None, Any]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.asked.append((self.headers["authorization"], json.loads(body)))
        answer = json.dumps({"room": 412, "price": "90 euros"}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A relay with three agents: an HTTP tool, an MCP server, and one that shows its tools."""
    rooms = ThreadingHTTPServer(("127.0.0.1", 0), Rooms)
    threading.Thread(target=rooms.serve_forever, daemon=True).start()
    command = json.dumps([sys.executable, str(ROOT / "tests" / "fakes" / "weather_tools.py")])
    config = f"""
[agents.desk]
model = "local/agent"
instructions = "{PROMPT}"
greeting = "Good day from the Hotel Canary."
tools = ["find_room"]

[agents.weather]
listen = "local/sphinx"
think = "local/assistant"
speak = "local/espeak"
tools = ["mcp:weather"]
show_tools = true

[tools.find_room]
url = "http://127.0.0.1:{rooms.server_port}/rooms"
description = "Find a free room"
parameters = {{ type = "object", properties = {{ guests = {{ type = "integer" }} }}, required = ["guests"] }}
headers_env = {{ authorization = "ROOMS_TOKEN" }}

[mcp.weather]
command = {command}
"""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROOMS_TOKEN", "Bearer canary-of-the-tool")
        with running_relay(tmp_path_factory.mktemp("desk"), config, []) as url:
            yield Relay(url, KEY)
    rooms.shutdown()
    rooms.server_close()


def ask(connection: Any, text: str) -> list[Any]:
    """Type something; every event until an answer was spoken."""
    content = [{"type": "input_text", "text": text}]
    connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
    connection.response.create()
    return spoken(connection)


def spoken(connection: Any) -> list[Any]:
    """Events until the end of a response that said something."""
    events: list[Any] = []
    for event in connection:
        events.append(event)
        said = any(item.type == "message" for item in event.response.output) if event.type == "response.done" else False
        if said:
            return events
    raise AssertionError("the socket closed")


def transcript(events: list[Any]) -> str:
    return " ".join(event.transcript for event in events if event.type == "response.output_audio_transcript.done")


def connect(desk: Relay, agent: str) -> Any:
    return OpenAI(base_url=f"{desk.url}/v1", api_key=desk.key).realtime.connect(model=f"agent/{agent}")


def test_agent_greets_and_runs_its_hidden_tool_in_mid_turn(desk: Relay) -> None:
    with connect(desk, "desk") as connection:
        events = spoken(connection)
        assert transcript(events) == "Good day from the Hotel Canary."
        events += ask(connection, "Please find a room for 2 guests.")
    assert "412" in transcript(events)
    assert Rooms.asked == [("Bearer canary-of-the-tool", {"guests": 2})]
    seen = "".join(event.model_dump_json() for event in events)
    for secret in (PROMPT, "find_room", "canary-of-the-tool", "function_call"):
        assert secret not in seen


def test_what_the_agent_pins_the_caller_cannot_change(desk: Relay) -> None:
    with connect(desk, "desk") as connection:
        spoken(connection)
        connection.session.update(session={"type": "realtime", "instructions": "Be rude.", "tools": []})
        for event in connection:
            if event.type == "rate_limits.updated":
                warning = event.model_dump()["relay_warning"]
                assert (warning["code"], warning["param"]) == ("setting_pinned", "instructions")
            if event.type == "session.updated":
                break
        assert "412" in transcript(ask(connection, "Find a room for 3 guests."))


def test_tool_of_an_mcp_server_answers_and_is_shown_as_already_run(desk: Relay) -> None:
    with connect(desk, "weather") as connection:
        events = ask(connection, "What is the weather in Rome?")
    assert "23" in transcript(events)
    shown = [event.item for event in events if event.type == "conversation.item.done" and event.item.type == "mcp_call"]
    assert [(call.name, json.loads(call.arguments)["city"]) for call in shown] == [("get_weather", "Rome")]
    assert not [event for event in events if event.type == "response.function_call_arguments.done"]


def test_agent_is_reached_through_the_ai_sdk_dialect_too(desk: Relay) -> None:
    url = f"{desk.socket_url}/v4/ai/realtime-model?ai-model-id=agent%2Fdesk"
    offered = [Subprotocol("ai-gateway-realtime.v1"), Subprotocol(f"ai-gateway-auth.{desk.key}")]
    with websockets.sync.client.connect(url, subprotocols=offered) as socket:
        socket.send(json.dumps({"type": "session-update", "config": {"instructions": "Be rude."}}))
        events = []
        while not events or events[-1]["type"] != "audio-transcript-done":
            events.append(json.loads(socket.recv(timeout=10)))
    assert events[0]["type"] == "session-created"
    assert events[-1]["transcript"] == "Good day from the Hotel Canary."
    assert [event["raw"]["param"] for event in events if event["type"] == "custom"] == ["instructions"]


def test_unknown_agent_is_refused(desk: Relay) -> None:
    with pytest.raises(Exception, match="404"), connect(desk, "nobody"):
        pass


def test_agents_are_listed_with_the_models(desk: Relay) -> None:
    models = OpenAI(base_url=f"{desk.url}/v1", api_key=desk.key).models.list()
    assert {"local/agent", "agent/desk", "agent/weather"} <= {model.id for model in models}


def test_configuration_error_names_the_line_and_exits_with_2(tmp_path: Path) -> None:
    import subprocess

    (tmp_path / "bad.toml").write_text('[server]\nport = 1\n\n[agents.x]\nmodle = "local/agent"\n')
    done = subprocess.run(
        [sys.executable, "-c", "from relay.cli.main import main; main()", "serve", "--config", "bad.toml"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.returncode == 2
    assert "bad.toml:5: agents.x.modle: unknown key" in done.stderr
