"""`experimental_useRealtime`, unmodified, in a page in headless Chromium with a recording as its microphone."""

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.node, pytest.mark.browser]

LEAD_S = 0.4
"""Silence before the question, so that the detector knows the room."""
ROOM_S = 20.0
"""Silence behind it: a microphone goes on."""
AUDIBLE_RMS = 0.01
"""Of full scale; speech is ten times this."""


def as_microphone(question: Path, path: Path) -> Path:
    """The question as a microphone would give it."""
    with wave.open(str(question)) as source, wave.open(str(path), "wb") as sink:
        sink.setparams(source.getparams())
        second = bytes(source.getframerate() * 2)
        sink.writeframes(second[: int(len(second) * LEAD_S) & ~1])
        sink.writeframes(source.readframes(source.getnframes()))
        sink.writeframes(second * int(ROOM_S))
    return path


@pytest.fixture
def visit(run_script: Callable[..., Any], relay_server: Any, chromium: str, page_port: int,
          tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Open the page, play a scenario with a recording as microphone, and give what page and hook saw."""

    def run(scenario: str, question: Path, **options: Any) -> dict[str, Any]:
        seen: dict[str, Any] = run_script(
            "ai_sdk_react.mjs", scenario=scenario, model="local/agent", relay=relay_server.url,
            apiKey=relay_server.key, wav=str(as_microphone(question, tmp_path / "microphone.wav")), chromium=chromium,
            port=page_port, dir=str(tmp_path), **{"profile": "N", **options})
        assert seen["errors"] == []
        assert seen["status"] == "connected"
        assert seen["end"] == "disconnected"
        return seen

    return run


def said(seen: dict[str, Any], role: str) -> list[str]:
    """The texts of one side's bubbles, as the page shows them."""
    return [text for shown, text in seen["rendered"] if shown == role]


def assert_question_was_answered_with_the_tool(seen: dict[str, Any]) -> None:
    [call] = seen["calls"]
    assert call["toolName"] == "get_weather"
    # Not "Paris": Chromium's recorded microphone skips 10 ms now and then, and then another place is heard.
    assert call["args"]["city"].lower() in said(seen, "user")[-1]
    assert any("get_weather output-available" in text for text in said(seen, "assistant"))
    assert "21" in said(seen, "assistant")[-1]
    assert max(sound["rms"] for sound in seen["played"]) > AUDIBLE_RMS


def test_a_question_is_heard_a_tool_called_and_the_answer_spoken(
    visit: Callable[..., dict[str, Any]], question: Path
) -> None:
    seen = visit("tool", question)
    assert_question_was_answered_with_the_tool(seen)
    assert sum(sound["seconds"] for sound in seen["played"]) > 0.5
    sent = [event["type"] for event in seen["sent"]]
    assert sent == ["session-update", "conversation-item-create", "response-create"]


def test_speech_over_an_answer_silences_it_and_is_answered_instead(
    visit: Callable[..., dict[str, Any]], question: Path
) -> None:
    seen = visit("interrupt", question, prompt="Tell me a long story.")
    assert_question_was_answered_with_the_tool(seen)
    kinds = [event["type"] for event in seen["events"]]
    onset = kinds.index("speech-started")
    interrupted = next(event["responseId"] for event in seen["events"] if event["type"] == "response-created")
    after = [event for event in seen["events"][onset:] if event.get("responseId") == interrupted]
    assert not [event for event in after if event["type"].endswith("-delta")]
    [done] = [event for event in after if event["type"] == "response-done"]
    assert done["status"] == "cancelled"
    cut = next(event for event in seen["sent"] if event["type"] == "conversation-item-truncate")
    assert cut["audioEndMs"] > 0
    assert seen["stopped"]


def test_the_relays_own_setup_door_serves_the_hook(
    visit: Callable[..., dict[str, Any]], relay_server: Any, synthesized: Path
) -> None:
    seen = visit("tool", synthesized, api={"token": f"{relay_server.url}/v1/realtime/setup"})
    assert_question_was_answered_with_the_tool(seen)


def test_relay_mode_speaks_normalized_events(
    visit: Callable[..., dict[str, Any]], relay_server: Any, synthesized: Path
) -> None:
    url = f"{relay_server.socket_url}/v4/ai/realtime-model?ai-model-id=local%2Fagent"
    protocols = ["ai-gateway-realtime.v1", f"ai-gateway-auth.{relay_server.key}"]
    seen = visit("tool", synthesized, api={"websocket": url, "protocols": protocols})
    assert_question_was_answered_with_the_tool(seen)


def test_relay_mode_speaks_openai_events(
    visit: Callable[..., dict[str, Any]], relay_server: Any, synthesized: Path
) -> None:
    url = f"{relay_server.socket_url}/v1/realtime?model=local%2Fagent"
    protocols = ["realtime", f"openai-insecure-api-key.{relay_server.key}"]
    seen = visit("tool", synthesized, profile="R", api={"websocket": url, "protocols": protocols})
    assert_question_was_answered_with_the_tool(seen)
    assert seen["sent"][0]["type"] == "session.update"
