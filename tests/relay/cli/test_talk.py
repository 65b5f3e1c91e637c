"""The whole command against a scripted server on loopback, made with another WebSocket library."""

import base64
import json
import threading
import wave
from contextlib import contextmanager

import numpy as np
import pytest
from rich.console import Console
from websockets.sync.server import serve

from relay.cli import talk as talk_module
from relay.cli.conversation import Line
from relay.cli.main import main
from relay.cli.sound import read_wav
from relay.cli.talk import address, refusal, row
from relay.errors import RelayError

KEY = "canary-key-42"
SESSION = {"audio": {"input": {"turn_detection": {"silence_duration_ms": 20, "interrupt_response": True}}}}


class Script:
    """The server's side of one session, as a generator-free list of steps; keeps what the client sent."""

    def __init__(self, steps):
        self.steps = steps
        self.frames = []
        self.request = None

    def __call__(self, socket):
        self.socket = socket
        self.request = socket.request
        self.say("session.created", session=SESSION)
        self.steps(self)

    def say(self, kind, **members):
        self.socket.send(json.dumps({"type": kind, **members}))

    def until(self, kind, count=1):
        """Read until the client has sent so many frames of a kind; returns the last one."""
        while count:
            frame = json.loads(self.socket.recv(timeout=5))
            self.frames.append(frame)
            count -= frame["type"] == kind
        return frame

    def turn(self):
        self.until("input_audio_buffer.append", 3)
        self.say("input_audio_buffer.speech_started", item_id="U", audio_start_ms=0)
        self.until("input_audio_buffer.append", 3)
        self.say("input_audio_buffer.speech_stopped", item_id="U", audio_end_ms=60)
        self.say("input_audio_buffer.committed", item_id="U")
        self.say("conversation.item.input_audio_transcription.completed", item_id="U", transcript="hello [bold]there")

    def answer(self, milliseconds=60, finish=True):
        self.say("response.created", response={"id": "R"})
        pcm = np.full(24 * milliseconds, 1000, "<i2").tobytes()
        self.say("response.output_audio_transcript.delta", response_id="R", item_id="A", delta="Good day.")
        delta = base64.b64encode(pcm).decode()
        self.say("response.output_audio.delta", response_id="R", item_id="A", delta=delta)
        if finish:
            self.say("response.output_audio_transcript.done", response_id="R", item_id="A", transcript="Good day.")
            self.say("response.done", response={"id": "R", "status": "completed", "output": []})

    def listen_to_the_end(self):
        for text in self.socket:
            self.frames.append(json.loads(text))


@contextmanager
def relay(steps, **options):
    """A running scripted server: its address and its script."""
    script = Script(steps)
    with serve(script, "127.0.0.1", 0, **options) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{server.socket.getsockname()[1]}", script
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(talk_module, "SETTLE_S", 0.1)
    monkeypatch.setenv("RELAY_KEY", KEY)
    monkeypatch.setenv("COLUMNS", "120")


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "in.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(24_000)
        file.writeframes(np.full(24 * 100, 500, "<i2").tobytes())
    return path


def talk(*arguments):
    """The exit code."""
    with pytest.raises(SystemExit) as ended:
        main(["talk", *map(str, arguments)])
    return ended.value.code


def test_spoken_question_is_answered_shown_measured_and_written(recording, tmp_path, capsys):
    def steps(script):
        script.turn()
        script.answer()
        script.listen_to_the_end()

    with relay(steps) as (url, script):
        assert talk(url, "--model", "agent/x y", "--input", recording, "--output", tmp_path / "out.wav") == 0
    assert script.request.path == "/v1/realtime?model=agent/x+y"
    assert script.request.headers["Authorization"] == f"Bearer {KEY}"
    sent = b"".join(base64.b64decode(frame["audio"]) for frame in script.frames if "audio" in frame)
    assert sent.startswith(read_wav(recording))
    assert set(sent[len(read_wav(recording)) :]) == {0}
    heard = np.frombuffer(read_wav(tmp_path / "out.wav"), "<i2")
    assert (heard == 1000).sum() == 24 * 60
    out = capsys.readouterr().out
    assert "hello [bold]there" in out
    assert "Good day." in out
    assert "after the last word" in out
    assert KEY not in out


def test_interrupted_answer_is_cut_where_it_was_heard(recording, tmp_path):
    def steps(script):
        script.turn()
        script.answer(milliseconds=2000, finish=False)
        script.until("input_audio_buffer.append", 5)
        script.say("input_audio_buffer.speech_started", item_id="U2", audio_start_ms=200)
        script.cut = script.until("conversation.item.truncate")
        script.say("response.done", response={"id": "R", "status": "cancelled", "output": []})
        script.say("input_audio_buffer.speech_stopped", item_id="U2", audio_end_ms=300)
        script.listen_to_the_end()

    with relay(steps) as (url, script):
        assert talk(url, "--input", recording, "--output", tmp_path / "out.wav") == 0
    heard = np.frombuffer(read_wav(tmp_path / "out.wav"), "<i2")
    assert script.cut["item_id"] == "A"
    assert 0 < script.cut["audio_end_ms"] < 2000
    assert (heard == 1000).sum() == 24 * script.cut["audio_end_ms"]


def test_typed_words_are_answered_without_a_microphone(capsys):
    def steps(script):
        script.until("response.create")
        script.answer()
        script.listen_to_the_end()

    with relay(steps) as (url, script):
        assert talk(url, "--text", "hello") == 0
    assert [frame["type"] for frame in script.frames] == [
        "session.update", "conversation.item.create", "response.create"
    ]
    assert "Good day." in capsys.readouterr().out


def test_silent_relay_is_waited_for_as_long_as_asked(capsys):
    with relay(Script.listen_to_the_end) as (url, _):
        assert talk(url, "--text", "hello", "--wait", "0.1") == 1
    assert capsys.readouterr().err == "relay: there was no answer\n"


def test_relay_that_does_not_open_a_session_is_waited_for_as_long_as_asked(capsys):
    def accept_and_say_nothing(socket):
        for _ in socket:
            pass

    with serve(accept_and_say_nothing, "127.0.0.1", 0) as server:
        threading.Thread(target=server.serve_forever).start()
        url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        assert talk(url, "--text", "hello", "--wait", "0.1") == 1
        server.shutdown()
    assert capsys.readouterr().err == "relay: there was no answer\n"


def test_session_that_the_relay_ends_is_a_failure_with_its_code(capsys):
    def steps(script):
        script.until("response.create")
        script.socket.close(1012)

    with relay(steps) as (url, _):
        assert talk(url, "--text", "hello") == 1
    assert "the relay ended the session (1012)" in capsys.readouterr().out


def test_refused_key_is_one_line(capsys):
    def refuse(connection, request):
        return connection.respond(401, "no")

    with relay(Script.listen_to_the_end, process_request=refuse) as (url, _):
        assert talk(url, "--text", "hello") == 1
    assert capsys.readouterr().err.startswith("relay: the relay does not accept this key")


def test_relay_that_is_not_there_is_one_line(capsys):
    assert talk("ws://127.0.0.1:1", "--text", "hello") == 1
    assert capsys.readouterr().err == "relay: nothing answers at ws://127.0.0.1:1; `relay serve` starts a relay\n"


def test_no_sound_and_no_file_is_one_line_that_says_what_to_do(monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
    assert talk("ws://127.0.0.1:1") == 1
    assert "--input FILE" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "socket"),
    [
        ("ws://h:1", "ws://h:1/v1/realtime?model=m"),
        ("http://h", "ws://h/v1/realtime?model=m"),
        ("https://h/", "wss://h/v1/realtime?model=m"),
        ("h:8080", "ws://h:8080/v1/realtime?model=m"),
        ("wss://h/other?x=1", "wss://h/other?x=1&model=m"),
    ],
)
def test_address_may_be_written_in_many_ways(url, socket):
    assert str(address(url, "m")) == socket


@pytest.mark.parametrize("url", ["ftp://h", "ws://", "http://h:port", "/path"])
def test_address_that_is_none_is_refused(url):
    with pytest.raises(RelayError, match="not an address"):
        address(url, "m")


def test_refusal_names_the_status():
    assert refusal(404).endswith("(HTTP 404)")
    assert refusal(418) == "the relay refused the connection (HTTP 418)"


def test_markup_in_words_is_shown_as_it_is():
    console = Console(width=60, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    console.print(row(Line("agent", "[red]x[/red]", "[1]")))
    console.file.close()
    assert "[red]x[/red]" in console.export_text()
