"""The playground in a real Chromium, against a real relay with its local agent."""

import json
import shutil
import subprocess
import wave
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.e2e.conftest import RATE_HZ, RECORDINGS, require, running_relay, write_wav
from tests.fakes.spoken import spoken

pytestmark = [pytest.mark.browser, pytest.mark.node]

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
MODULES = ROOT / "tests" / "e2e" / "js" / "node_modules"
BY_A_PERSON = pytest.mark.skipif(
    not (RECORDINGS / "weather_question.wav").exists(),
    reason="the browser's recorded microphone skips now and then, and then only a person's voice is still understood; "
    "there are no recordings beside the project",
)
SCENARIO_S = 90.0
LEAD_S = 2.5
"""Silence before the recorded question: the page opens the microphone before it is connected."""
ROOM_S = 20.0
"""Silence behind it: a microphone goes on."""
INTERRUPTED_PHRASE = "interrupted after "

Visit = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_relay(tmp_path_factory.mktemp("relay"), "", []) as url:
        yield url


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`What is the weather in Paris?` in a silent room: a person where there is a recording, else our synthesizer."""
    folder = tmp_path_factory.mktemp("recording")
    said, path = RECORDINGS / "weather_question.wav", folder / "microphone.wav"
    if not said.exists():
        said = write_wav(folder / "said.wav", np.frombuffer(spoken(rate_hz=RATE_HZ), np.int16))
    with wave.open(str(said)) as source, wave.open(str(path), "wb") as sink:
        sink.setparams(source.getparams())
        second = bytes(source.getframerate() * 2)
        sink.writeframes(second[: int(len(second) * LEAD_S) & ~1])
        sink.writeframes(source.readframes(source.getnframes()))
        sink.writeframes(second * int(ROOM_S))
    return path


@pytest.fixture
def visit(relay: str, recording: Path, tmp_path: Path) -> Visit:
    """Play a scenario of playground.mjs; gives what was on screen, after checking that the browser had no complaint."""
    node, browser = shutil.which("node"), shutil.which("chromium") or shutil.which("google-chrome")
    require(node, "Node.js")
    require(browser, "Chromium")
    require((MODULES / "playwright-core").is_dir(), "playwright-core (npm ci --prefix tests/e2e/js)")

    def run(scenario: str, complaints: tuple[str, ...] = (), **options: str) -> dict[str, Any]:
        given = {"scenario": scenario, "url": f"{relay}/", "chromium": browser, "modules": str(MODULES),
                 "wav": str(recording), "profile": str(tmp_path / "profile"), **options}
        done = subprocess.run(["node", str(HERE / "playground.mjs"), json.dumps(given)], capture_output=True, text=True,
                              timeout=SCENARIO_S, check=False)
        assert done.returncode == 0, done.stderr
        seen: dict[str, Any] = json.loads(done.stdout)
        unexpected = [text for text in seen["complaints"] if not any(known in text for known in complaints)]
        assert unexpected == []
        return seen

    return run


def texts(seen: dict[str, Any], kind: str) -> list[str]:
    """What the entries of one kind say."""
    return [entry["text"] for entry in seen["entries"] if entry["kind"] == kind]


def types(seen: dict[str, Any], sender: str) -> list[str]:
    """Types of the frames that one side sent, oldest first; a run of equal ones is one."""
    return [kind for kind, _ in groupby(event["type"] for event in seen["events"] if event["from"] == sender)]


def assert_weather_of_paris(seen: dict[str, Any]) -> None:
    """The tool was called once with Paris, its result is shown, and the answer tells it."""
    [call] = texts(seen, "tool")
    assert "get_weather" in call
    assert "paris" in call.lower()
    assert "demo data" in call
    temperature = json.loads(next(line for line in call.splitlines() if "temperature" in line))["temperature_celsius"]
    assert str(temperature) in texts(seen, "model")[-1]
    assert types(seen, "page").count("response-create") == types(seen, "page").count("conversation-item-create")


def assert_cut_where_it_was_heard(seen: dict[str, Any]) -> None:
    """The mark in the transcript and the truncation that the relay got are the same, and within what was received."""
    [truncate] = [event for event in seen["events"] if event["type"] == "conversation-item-truncate"]
    received_ms = sum(event["audioMs"] for event in seen["events"]
                      if event["type"] == "audio-delta" and event["itemId"] == truncate["itemId"])
    [cut] = [entry["text"] for entry in seen["entries"] if entry["state"] == "cut"]
    assert f"{INTERRUPTED_PHRASE}{truncate['audioEndMs']:,} ms" in cut
    assert 0 < truncate["audioEndMs"] <= received_ms


def test_a_typed_question_is_answered_aloud(visit: Visit) -> None:
    seen = visit("typed")
    assert texts(seen, "user") == ["Hello."]
    [answer] = texts(seen, "model")
    assert answer
    [turn] = seen["turns"]
    assert turn["stages"][0] == "response created"
    assert turn["stages"][-1] == "first audio played"
    assert turn["total"].endswith(" ms")
    assert f"Model: {answer}" in seen["announced"]
    assert seen["fault"] == ""


@BY_A_PERSON
def test_a_spoken_question_shows_both_transcripts_the_tool_and_its_latency(visit: Visit) -> None:
    seen = visit("spoken")
    [question] = texts(seen, "user")
    assert "weather" in question.lower()
    assert_weather_of_paris(seen)
    [turn] = seen["turns"]
    assert turn["stages"][0].startswith("end of turn")
    assert "tools answered" in turn["stages"]
    assert turn["stages"][-1] == "first audio played"
    assert f"You: {question}" in seen["announced"]


@BY_A_PERSON
def test_push_to_talk_commits_what_was_said_while_the_space_bar_was_held(visit: Visit) -> None:
    seen = visit("pushed")
    assert any("weather" in text.lower() for text in texts(seen, "user"))
    sent = types(seen, "page")
    first = sent.index("input-audio-clear")
    assert sent[first : first + 4] == [
        "input-audio-clear", "input-audio-append", "input-audio-commit", "response-create"]
    assert "input-audio-append" not in sent[:first]


def test_stopping_an_answer_marks_where_it_was_cut(visit: Visit) -> None:
    seen = visit("stopped")
    assert_cut_where_it_was_heard(seen)
    assert "response-cancel" in types(seen, "page")


@BY_A_PERSON
def test_speaking_over_an_answer_cuts_it_and_is_answered(visit: Visit) -> None:
    seen = visit("interrupted")
    assert_cut_where_it_was_heard(seen)
    assert "response-cancel" not in types(seen, "page")
    assert "get_weather" in texts(seen, "tool")[0]


def test_a_tool_can_change_the_page(visit: Visit) -> None:
    seen = visit("colored")
    assert seen["before"].lower() != "purple"
    assert seen["after"].lower() == "purple"


@pytest.mark.parametrize(("microphone", "titles"), [
    ("none", ("No microphone found", "The microphone is blocked")),
    ("denied", ("The microphone is blocked",)),
])
def test_without_a_microphone_it_says_why_and_typing_works(
    visit: Visit, microphone: str, titles: tuple[str, ...]
) -> None:
    seen = visit("nomicrophone", microphone=microphone)
    assert seen["fault"].startswith(titles)
    assert "You can type" in seen["fault"]
    assert "Try the microphone again" in seen["fault"]
    assert texts(seen, "model")[-1]


def test_a_relay_that_does_not_answer_is_said_and_the_text_is_kept(visit: Visit) -> None:
    seen = visit("unreachable", complaints=("ERR_INTERNET_DISCONNECTED",))
    assert seen["fault"].startswith("The relay does not answer")
    assert seen["kept"] == "Hello."
    assert seen["state"] == "Not connected"


def test_everything_is_reached_by_keyboard_in_order_with_a_visible_focus(visit: Visit) -> None:
    seen = visit("keyboard")
    order = [stop["id"] for stop in seen["order"]]
    assert [stop["id"] for stop in seen["order"] if not stop["ring"]] == []
    wanted = ["theme", "model", "mode", "transcript", "talk", "text", "tab-ai-react", "snippet-panel", "copy"]
    assert [stop for stop in order if stop in wanted] == wanted
    assert "from openai import OpenAI" in seen["code"]
    assert any(entry["state"] == "cut" for entry in seen["entries"])


def test_a_narrow_screen_does_not_scroll_sideways(visit: Visit) -> None:
    assert visit("narrow")["widths"] == [360] * 4
