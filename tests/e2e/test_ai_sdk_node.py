"""AI SDK 7 from Node: `getToken`, `getWebSocketConfig`, `serializeClientEvent`, `parseServerEvent`."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.node]

Frames = list[dict[str, Any]]


def of(frames: Frames, kind: str) -> Frames:
    return [frame for frame in frames if frame["type"] == kind]


def place(frames: Frames, kind: str, nth: int = 0) -> int:
    return [index for index, frame in enumerate(frames) if frame["type"] == kind][nth]


def converse(run_script: Callable[..., Any], relay_server: Any, wav: Path, *, push: bool) -> dict[str, Any]:
    talked: dict[str, Any] = run_script(
        "ai_sdk_node.mjs", baseURL=f"{relay_server.url}/v4/ai", apiKey=relay_server.key, model="local/agent",
        wav=str(wav), push=push)
    return talked


@pytest.fixture(scope="module")
def talked(run_script: Callable[..., Any], relay_server: Any, question: Path) -> dict[str, Any]:
    """A typed turn, a spoken turn that calls a tool, two mistakes."""
    return converse(run_script, relay_server, question, push=False)


@pytest.fixture(scope="module")
def pushed(run_script: Callable[..., Any], relay_server: Any, question: Path) -> Frames:
    """The same with push to talk."""
    frames: Frames = converse(run_script, relay_server, question, push=True)["frames"]
    return frames


def test_a_minted_token_opens_the_socket_and_only_the_marker_is_echoed(
    talked: dict[str, Any], relay_server: Any
) -> None:
    minted, url = talked["minted"], urlsplit(talked["minted"]["url"])
    assert re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", minted["token"])
    assert f"{url.scheme}://{url.netloc}" == relay_server.socket_url
    assert parse_qs(url.query) == {"ai-model-id": ["local/agent"]}
    assert talked["protocol"] == "ai-gateway-realtime.v1"


def test_the_session_is_announced_first(talked: dict[str, Any]) -> None:
    first, second = talked["frames"][:2]
    assert first["type"] == "session-created"
    assert first["sessionId"].startswith("sess_")
    assert second["type"] == "session-updated"


def test_a_typed_message_is_answered_aloud_and_in_words(talked: dict[str, Any]) -> None:
    frames = talked["frames"][: place(talked["frames"], "response-done")]
    assert "".join(frame["delta"] for frame in of(frames, "audio-transcript-delta")).strip()
    assert sum(frame["delta"] for frame in of(frames, "audio-delta")) > 24_000 // 2
    assert not of(frames, "input-transcription-completed")


def test_a_spoken_turn_is_told_in_order(talked: dict[str, Any]) -> None:
    frames = talked["frames"]
    order = [place(frames, "speech-started"), place(frames, "speech-stopped"), place(frames, "audio-committed"),
             place(frames, "response-created", 1), place(frames, "function-call-arguments-done"),
             place(frames, "response-done", 1)]
    assert order == sorted(order)


def test_the_callers_words_are_written_down_under_the_committed_item(talked: dict[str, Any]) -> None:
    written = of(talked["frames"], "input-transcription-completed")[-1]
    assert "weather" in written["transcript"].lower()
    assert written["itemId"] == of(talked["frames"], "audio-committed")[0]["itemId"]


def test_the_tool_is_called_with_what_was_said(talked: dict[str, Any]) -> None:
    frames = talked["frames"]
    [done] = of(frames, "function-call-arguments-done")
    assert done["name"] == "get_weather"
    assert "paris" in done["arguments"].lower()
    assert place(frames, "function-call-arguments-delta") < place(frames, "function-call-arguments-done")


def test_the_tools_result_alone_starts_no_answer(talked: dict[str, Any]) -> None:
    frames = talked["frames"]
    assert place(frames, "test-continues") < place(frames, "response-created", 2)
    assert len(of(frames, "response-created")) == 3


def test_the_answer_contains_the_tools_result(talked: dict[str, Any]) -> None:
    frames = talked["frames"][place(talked["frames"], "response-created", 2) :]
    assert "21" in "".join(frame["delta"] for frame in of(frames, "audio-transcript-delta"))
    assert of(frames, "response-done")[0]["status"] == "completed"


def test_every_audio_delta_is_whole_samples_and_every_spoken_item_has_words(talked: dict[str, Any]) -> None:
    frames = talked["frames"]
    sizes = [frame["delta"] for frame in of(frames, "audio-delta")]
    assert all(size > 0 and size % 2 == 0 for size in sizes)
    spoken = {frame["itemId"] for frame in of(frames, "audio-delta")}
    assert spoken == {frame["itemId"] for frame in of(frames, "audio-transcript-done")}
    for item in spoken:
        kinds = [frame["type"] for frame in frames if frame.get("itemId") == item]
        assert kinds.index("audio-transcript-delta") < kinds.index("audio-transcript-done")


def test_a_wrong_frame_is_refused_by_its_id_and_a_late_truncation_is_not(talked: dict[str, Any]) -> None:
    [error] = of(talked["frames"], "error")
    assert error["clientEventId"] == "mine"
    assert error["code"] == "invalid_request_error"


def test_with_push_to_talk_nothing_is_answered_unasked(pushed: Frames) -> None:
    assert not of(pushed, "speech-started")
    assert place(pushed, "audio-committed") < place(pushed, "test-asks") < place(pushed, "response-created", 1)
    assert "paris" in of(pushed, "function-call-arguments-done")[0]["arguments"].lower()
