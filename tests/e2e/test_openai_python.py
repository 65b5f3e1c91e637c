"""The OpenAI Python SDK (`client.realtime.connect`), unmodified, against `local/agent`."""

from __future__ import annotations

import asyncio
import base64
import socket
import time
import wave
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, OpenAI

pytestmark = pytest.mark.e2e

WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CHUNK_BYTES = 960
"""20 ms at 24 kHz."""
QUIET_S = 1.0
"""Silence sent after speech, so that the end of the turn can be heard."""


def client(relay: Any) -> OpenAI:
    return OpenAI(base_url=f"{relay.url}/v1", api_key=relay.key, websocket_base_url=f"{relay.socket_url}/v1")


def told(connection: Any, until: str, count: int = 1) -> list[Any]:
    """Events up to and with the `count`-th of a type."""
    events = []
    for event in connection:
        events.append(event)
        count -= event.type == until
        if not count:
            return events
    raise AssertionError(f"the socket closed before {until}: {[event.type for event in events]}")


def of(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event.type == kind]


def say(connection: Any, text: str) -> None:
    content = [{"type": "input_text", "text": text}]
    connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
    connection.response.create()


def test_typed_message_is_answered_in_text(relay_server: Any) -> None:
    with client(relay_server).realtime.connect(model="local/agent") as connection:
        assert connection.recv().type == "session.created"
        connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
        say(connection, "Hello!")
        events = told(connection, "response.done")
    assert not of(events, "error")
    text = "".join(event.delta for event in of(events, "response.output_text.delta"))
    assert text == of(events, "response.output_text.done")[0].text
    assert len(text.split()) > 2
    usage = events[-1].response.usage
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens > 0


def test_spoken_question_leads_to_a_tool_call_and_an_answer_with_its_result(relay_server: Any, question: Path) -> None:
    with client(relay_server).realtime.connect(model="local/agent") as connection:
        session = {"type": "realtime", "tools": [WEATHER], "audio": {"input": {"transcription": {}}}}
        connection.session.update(session=session)
        with wave.open(str(question)) as source:
            pcm = source.readframes(source.getnframes()) + b"\0" * int(48_000 * QUIET_S)
        for start in range(0, len(pcm), CHUNK_BYTES):
            connection.input_audio_buffer.append(audio=base64.b64encode(pcm[start : start + CHUNK_BYTES]).decode())
        events = told(connection, "response.done")
        call = of(events, "response.function_call_arguments.done")[0]
        assert (call.name, "paris" in call.arguments.lower()) == ("get_weather", True)
        output = {"type": "function_call_output", "call_id": call.call_id, "output": '{"celsius": 21, "sky": "sunny"}'}
        connection.conversation.item.create(item=output)
        connection.response.create()
        answer = told(connection, "response.done")
    order = [event.type for event in events]
    turn = ["speech_started", "speech_stopped", "committed"]
    places = [order.index(f"input_audio_buffer.{name}") for name in turn]
    assert places == sorted(places)
    assert not of(events, "error")
    said = of(answer, "response.output_audio_transcript.done")[0].transcript
    assert "21" in said
    assert "sunny" in said
    assert sum(len(event.delta) for event in of(answer, "response.output_audio.delta")) > 24_000


def test_second_request_while_an_answer_is_active_is_refused_with_the_clients_id(relay_server: Any) -> None:
    with client(relay_server).realtime.connect(model="local/agent") as connection:
        say(connection, "Tell me a story.")
        connection.send({"type": "response.create", "event_id": "mine"})
        error = of(told(connection, "error"), "error")[0].error
        assert (error.code, error.event_id) == ("conversation_already_has_active_response", "mine")
        connection.response.cancel()
        done = told(connection, "response.done")[-1].response
        assert (done.status, done.status_details.reason) == ("cancelled", "client_cancelled")


def test_speech_over_an_answer_cuts_it_and_truncates_at_what_was_heard(relay_server: Any, question: Path) -> None:
    with client(relay_server).realtime.connect(model="local/agent") as connection:
        say(connection, "Tell me a story.")
        events = told(connection, "response.output_audio.delta")
        begun = time.monotonic()
        time.sleep(0.3)
        with wave.open(str(question)) as source:
            pcm = source.readframes(source.getnframes())
        for start in range(0, len(pcm), CHUNK_BYTES):
            connection.input_audio_buffer.append(audio=base64.b64encode(pcm[start : start + CHUNK_BYTES]).decode())
        events = told(connection, "conversation.item.truncated")
        heard_ms = (time.monotonic() - begun) * 1000
    order = [event.type for event in events]
    assert order.index("input_audio_buffer.speech_started") < order.index("response.done")
    done = of(events, "response.done")[0].response
    assert (done.status, done.status_details.reason) == ("cancelled", "turn_detected")
    after = order[order.index("input_audio_buffer.speech_started") :]
    assert "response.output_audio.delta" not in after
    assert 0 < events[-1].audio_end_ms <= heard_ms


def test_ephemeral_secret_opens_several_sessions_with_its_settings(relay_server: Any) -> None:
    session = {"type": "realtime", "model": "local/agent", "instructions": "Be brief."}
    secret = client(relay_server).realtime.client_secrets.create(session=session)
    assert secret.value.startswith("ek_")
    for _ in range(2):
        guest = OpenAI(base_url=f"{relay_server.url}/v1", api_key=secret.value)
        with guest.realtime.connect(model="local/agent") as connection:
            created = connection.recv()
            assert (created.type, created.session.instructions) == ("session.created", "Be brief.")


@pytest.mark.parametrize(("key", "model", "status"), [("wrong", "local/agent", 401), (None, "local/nobody", 404)])
def test_what_cannot_be_is_refused_before_it_opens(relay_server: Any, key: str, model: str, status: int) -> None:
    guest = OpenAI(base_url=f"{relay_server.url}/v1", api_key=key or relay_server.key)
    with pytest.raises(Exception, match=str(status)), guest.realtime.connect(model=model):
        pass


def test_thirty_callers_at_once_are_all_answered(relay_server: Any) -> None:
    async def one() -> str:
        guest = AsyncOpenAI(base_url=f"{relay_server.url}/v1", api_key=relay_server.key)
        async with guest.realtime.connect(model="local/agent") as connection:
            await connection.session.update(session={"type": "realtime", "output_modalities": ["text"]})
            content = [{"type": "input_text", "text": "What is 12 plus 30?"}]
            await connection.conversation.item.create(item={"type": "message", "role": "user", "content": content})
            await connection.response.create()
            async for event in connection:
                if event.type == "response.output_text.done":
                    return str(event.text)
        return ""

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(one() for _ in range(30)))

    assert all("42" in text for text in asyncio.run(all_of_them()))


def test_client_that_vanishes_in_mid_answer_disturbs_nobody(relay_server: Any) -> None:
    vanishing = client(relay_server).realtime.connect(model="local/agent").enter()
    say(vanishing, "Tell me a story.")
    told(vanishing, "response.output_audio.delta")
    vanishing._connection.socket.shutdown(socket.SHUT_RDWR)  # no close frame
    vanishing.close()
    test_typed_message_is_answered_in_text(relay_server)
