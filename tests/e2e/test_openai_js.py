"""The OpenAI JS SDK's realtime client (`openai/realtime/ws`) from Node."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.node]

Frames = list[dict[str, Any]]


@pytest.fixture(scope="module")
def frames(run_script: Callable[..., Any], tls_relay: Any, question: Path) -> Frames:
    """A typed turn, then a spoken turn that calls a tool."""
    talked = run_script("openai_node.mjs", {"NODE_EXTRA_CA_CERTS": str(tls_relay.certificate)},
                        baseURL=f"{tls_relay.url}/v1", apiKey=tls_relay.key, model="local/agent", wav=str(question))
    found: Frames = talked["frames"]
    return found


def of(frames: Frames, kind: str) -> Frames:
    return [frame for frame in frames if frame["type"] == kind]


def test_the_client_reports_no_error(frames: Frames) -> None:
    assert not of(frames, "client-error")
    assert not of(frames, "error")


def test_a_typed_message_is_answered_aloud(frames: Frames) -> None:
    first = frames[: frames.index(of(frames, "response.done")[0])]
    assert sum(frame["delta"] for frame in of(first, "response.output_audio.delta")) > 24_000 // 2


def test_speech_calls_the_tool_with_what_was_said(frames: Frames) -> None:
    [call] = of(frames, "response.function_call_arguments.done")
    assert call["name"] == "get_weather"
    assert "paris" in call["arguments"].lower()
    assert "weather" in of(frames, "conversation.item.input_audio_transcription.completed")[-1]["transcript"].lower()


def test_the_answer_contains_the_tools_result(frames: Frames) -> None:
    assert "21" in of(frames, "response.output_audio_transcript.done")[-1]["transcript"]
    assert of(frames, "response.done")[-1]["response"]["status"] == "completed"
