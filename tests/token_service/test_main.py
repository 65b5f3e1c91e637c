"""`python -m token_service` as a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from token_service import policy
from token_service.__main__ import main

KEY = "rk_canary-alone"


def configured(tmp_path: Path) -> Path:
    path = tmp_path / "relay.toml"
    path.write_text(f'[server]\ndata_dir = "{tmp_path / "data"}"\nport = 0\nkeys = ["{policy.hash_of(KEY)}"]\n')
    return path


def post(url: str, key: str) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(url, b'{"model": "local/agent"}', {"Authorization": f"Bearer {key}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_alone_it_mints_answers_errors_in_shape_and_ends_on_sigterm(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "token_service", "--config", str(configured(tmp_path))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        ready = process.stderr.readline()
        base = ready.rpartition(" ")[2].strip()
        minted = post(base + "/v1/realtime/client-secrets", KEY)
        wrong_key = post(base + "/v1/realtime/client-secrets", "rk_wrong")
        nowhere = post(base + "/nowhere", KEY)
        process.send_signal(signal.SIGTERM)
        printed, complaints = process.communicate(timeout=10)

    assert ready.startswith("token service ready on http://127.0.0.1:")
    assert minted[0] == 200
    assert str(minted[1]["token"]).startswith("vcst_")
    assert (wrong_key[0], nowhere[0]) == (401, 404)
    assert isinstance(nowhere[1]["error"], dict)
    assert nowhere[1]["error"]["message"]
    assert (process.returncode, printed, complaints) == (0, "", "")


def test_bad_configuration_is_exit_code_2_and_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "relay.toml"
    path.write_text("[tokens]\nissuer = 7\n")

    assert main(["--config", str(path)]) == 2
    assert capsys.readouterr().err.startswith(f"{path}:2: tokens.issuer")


def test_without_any_key_it_does_not_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RELAY_DEV_KEY", raising=False)
    monkeypatch.delenv("RELAY_KEYS", raising=False)

    assert main(["--data-dir", str(tmp_path)]) == 2
    assert "server.keys" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_development_key_does_not_open_it_beyond_loopback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RELAY_DEV_KEY", "dev")
    monkeypatch.delenv("RELAY_KEYS", raising=False)

    assert main(["--data-dir", str(tmp_path), "--host", "0.0.0.0"]) == 2  # noqa: S104
    assert "server.keys" in capsys.readouterr().err


def test_address_that_cannot_be_had_is_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--config", str(configured(tmp_path)), "--host", "192.0.2.1"]) == 1
    assert capsys.readouterr().err
