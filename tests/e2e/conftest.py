"""Real clients against a real relay: a process of its own, on a port of its own, ended by SIGTERM."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import wave
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from tests.fakes.spoken import spoken

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
RECORDINGS = ROOT.parent / "shared" / "speech"
"""Recordings that the project itself does not contain."""

START_S = 60.0
STOP_S = 30.0
SCRIPT_S = 120.0
KEY = "test-key-of-the-end-to-end-tests"
RATE_HZ = 24_000
ROOM_RMS = 33


@dataclass(frozen=True)
class Relay:
    """A running relay."""

    url: str
    """`http://HOST:PORT`, or https."""
    key: str
    certificate: Path | None = None

    @property
    def socket_url(self) -> str:
        """The same for WebSockets."""
        return "ws" + self.url.removeprefix("http")


def require(there: object, what: str) -> None:
    """Skip where a part is missing; in CI everything must be there."""
    if not there:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"{what} is missing")


@contextlib.contextmanager
def running_relay(folder: Path, config: str, arguments: list[str]) -> Iterator[str]:
    """Run `relay serve` on a free port until the block ends; gives its address, and expects it to leave with 0."""
    (folder / "relay.toml").write_text(config)
    command = [sys.executable, "-m", "relay.cli.main", "serve", "--port", "0",
               "--data-dir", str(folder / "data"), "--config", str(folder / "relay.toml"), *arguments]
    environment = {**os.environ, "RELAY_DEV_KEY": KEY, "PYTHONPATH": str(ROOT)}
    log = folder / "relay.log"
    with log.open("w") as errors:
        server = subprocess.Popen(
            command, stdout=errors, stderr=subprocess.PIPE, text=True, env=environment, cwd=folder)
        ready: list[str] = []
        announced = threading.Event()

        def watch() -> None:
            for line in server.stderr or ():
                errors.write(line)
                errors.flush()
                if found := re.search(r"relay ready on (https?://\S+)", line):
                    ready.append(found[1])
                    announced.set()
            announced.set()

        reader = threading.Thread(target=watch, daemon=True)
        reader.start()
        try:
            announced.wait(START_S)
            assert ready, f"the relay did not start:\n{log.read_text()}"
            yield ready[0]
        finally:
            server.send_signal(signal.SIGTERM)
            try:
                code: int | None = server.wait(STOP_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
                code = None
            reader.join()
            if server.stderr:
                server.stderr.close()
    assert code == 0, f"the relay left with {code}:\n{log.read_text()}"
    assert KEY not in log.read_text(), "the key was logged"


@pytest.fixture(scope="session")
def page_port() -> int:
    """A port that was free a moment ago: the origin of the test's own page has to be configured."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def relay_server(tmp_path_factory: pytest.TempPathFactory, page_port: int) -> Iterator[Relay]:
    """A relay on loopback whose setup door is open to the test's page."""
    config = f'[tokens]\nsetup_origins = ["http://127.0.0.1:{page_port}"]\nsetup_model = "local/agent"\n'
    with running_relay(tmp_path_factory.mktemp("relay"), config, []) as url:
        yield Relay(url, KEY)


@pytest.fixture(scope="session")
def tls_relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """The same behind TLS: the OpenAI JS client dials nothing else."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = self_signed(folder)
    with running_relay(folder, "", ["--tls-cert", str(certificate), "--tls-key", str(key)]) as url:
        yield Relay(url, KEY, certificate)


def self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "relay under test")])
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1)).add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True).sign(key, hashes.SHA256())
    )
    certificate, secret = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                                         serialization.NoEncryption()))
    return certificate, secret


# --- speech


@pytest.fixture(scope="session")
def synthesized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`What is the weather in Paris?` as PCM16 mono at 24 kHz, said by the project's own voice.

    With the noise of a quiet room, -60 dB below full scale: no microphone gives digital silence, and the recognizer
    understands the same words at any level with it, but not without.
    """
    voice = np.frombuffer(spoken(rate_hz=RATE_HZ), np.int16)
    room = np.random.default_rng(1).normal(0, ROOM_RMS, len(voice))
    path: Path = tmp_path_factory.mktemp("speech") / "synthesized.wav"
    return write_wav(path, np.clip(voice + room, -32_768, 32_767).astype(np.int16))


@pytest.fixture(scope="session", params=["synthesized", "recorded"])
def question(request: pytest.FixtureRequest, synthesized: Path) -> Path:
    """The same; also spoken by a person, where the recording lies beside the project."""
    if request.param == "synthesized":
        return synthesized
    recording = RECORDINGS / "weather_question.wav"
    if not recording.exists():
        pytest.skip("there are no recordings beside the project")
    with wave.open(str(recording)) as source:
        samples, rate_hz = np.frombuffer(source.readframes(source.getnframes()), np.int16), source.getframerate()
    return write_wav(synthesized.with_name("recorded.wav"), soxr.resample(samples, rate_hz, RATE_HZ))


def write_wav(path: Path, samples: NDArray[np.int16]) -> Path:
    """A mono file at RATE_HZ."""
    with wave.open(str(path), "wb") as sink:
        sink.setnchannels(1)
        sink.setsampwidth(2)
        sink.setframerate(RATE_HZ)
        sink.writeframes(samples.tobytes())
    return path


# --- Node.js


@pytest.fixture(scope="session")
def run_script() -> Callable[..., Any]:
    """Run a script of tests/e2e/js with its options; gives the JSON it prints."""
    require(shutil.which("node"), "Node.js")
    require((HERE / "js" / "node_modules").is_dir(), "tests/e2e/js/node_modules (npm ci --prefix tests/e2e/js)")

    def run(script: str, environment: dict[str, str] | None = None, **options: Any) -> Any:
        command = ["node", str(HERE / "js" / script), json.dumps(options)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env={**os.environ, **(environment or {})}, start_new_session=True) as node:
            try:
                told, errors = node.communicate(timeout=SCRIPT_S)
            except subprocess.TimeoutExpired:
                os.killpg(node.pid, signal.SIGKILL)  # the browser too
                raise
        assert node.returncode == 0, f"{script} failed:\n{errors}"
        return json.loads(told)

    return run


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of a Chromium."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(path, "Chromium")
    assert path
    return path
