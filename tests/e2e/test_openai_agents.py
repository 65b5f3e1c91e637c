"""`openai-agents` for Python: a `RealtimeAgent` with a function tool, unmodified, against `local/agent`."""

from __future__ import annotations

import asyncio
import wave
from pathlib import Path
from typing import Any

import pytest
from agents import function_tool, set_tracing_disabled
from agents.realtime import RealtimeAgent, RealtimeRunner

pytestmark = pytest.mark.e2e

ANSWER_S = 60.0
CHUNK_BYTES = 4_800


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"It is 21 degrees and sunny in {city}."


class Conversation:
    """What one session of the SDK reported."""

    def __init__(self) -> None:
        self.kinds: list[str] = []
        self.errors: list[str] = []
        self.tools: list[str] = []
        self.audio_bytes = 0
        self.transcripts: dict[str, str] = {}

    def take(self, event: Any) -> None:
        self.kinds.append(event.type)
        if event.type == "error":
            self.errors.append(str(event.error))
        elif event.type == "tool_end":
            self.tools.append(str(event.output))
        elif event.type == "audio":
            self.audio_bytes += len(event.audio.data)
        elif event.type == "raw_model_event" and event.data.type == "transcript_delta":
            self.transcripts[event.data.item_id] = self.transcripts.get(event.data.item_id, "") + event.data.delta


async def talk(relay: Any, question: Path | None, text: str | None) -> Conversation:
    """One question, spoken or typed; done when an answer was spoken after it (and after the tool)."""
    agent = RealtimeAgent(name="Assistant", instructions="Be brief.", tools=[get_weather])
    runner = RealtimeRunner(agent, config={"model_settings": {"model_name": "local/agent"}})
    settings = {"url": f"{relay.socket_url}/v1/realtime?model=local/agent", "api_key": relay.key}
    told = Conversation()
    async with asyncio.timeout(ANSWER_S), await runner.run(model_config=settings) as session:
        if text:
            await session.send_message(text)
        if question:
            with wave.open(str(question)) as source:
                pcm = source.readframes(source.getnframes()) + b"\0" * 48_000
            for start in range(0, len(pcm), CHUNK_BYTES):
                await session.send_audio(pcm[start : start + CHUNK_BYTES])
        async for event in session:
            told.take(event)
            if event.type == "audio_end" and (told.tools or not question):
                break
    return told


@pytest.fixture(autouse=True)
def _no_tracing() -> None:
    set_tracing_disabled(True)


def test_typed_question_is_answered_aloud_without_an_error(relay_server: Any) -> None:
    told = asyncio.run(talk(relay_server, None, "Hello!"))
    assert told.errors == []
    assert told.audio_bytes > 24_000


def test_spoken_question_runs_the_function_and_its_result_is_spoken(relay_server: Any, question: Path) -> None:
    told = asyncio.run(talk(relay_server, question, None))
    assert told.errors == []
    assert "paris" in told.tools[0].lower()
    assert "21" in " ".join(told.transcripts.values())
