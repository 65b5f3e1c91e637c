"""`relay serve`: what it refuses to start with, and the development key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relay import config as configuration
from relay.cli.main import main
from relay.cli.serve import development_key
from relay.errors import ConfigError
from token_service.policy import hash_of


def exit_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["serve", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code, capsys.readouterr().err


def test_unknown_key_in_the_configuration_is_named_with_its_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "relay.toml"
    path.write_text("[server]\nport = 8080\nprot = 1\n")
    code, said = exit_of(capsys, "--config", str(path))
    assert code == 2
    assert f"{path}:3: server.prot: unknown key" in said


def test_tls_certificate_without_its_key_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = exit_of(capsys, "--tls-cert", "x.pem")
    assert code == 2
    assert "tls_cert and tls_key go together" in said


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "relay.example"])
def test_reachable_from_elsewhere_without_keys_does_not_start(capsys: pytest.CaptureFixture[str], host: str) -> None:
    code, said = exit_of(capsys, "--host", host)
    assert code == 2
    assert "server.keys" in said
    assert host in said


def load(**server: object) -> configuration.Config:
    return configuration.load(None, server, {})


def test_key_is_made_and_printed_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("RELAY_DEV_KEY", raising=False)
    key = development_key(load())
    said = capsys.readouterr()
    assert said.err == f"relay development key: {key}\n"
    assert not said.out
    assert re.fullmatch(r"rk_dev_[0-9a-f]{32}", key or "")
    assert development_key(load()) != key


def test_given_key_is_used_and_not_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("RELAY_DEV_KEY", "rk_mine")
    assert development_key(load()) == "rk_mine"
    assert capsys.readouterr() == ("", "")


def test_configured_keys_need_no_development_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RELAY_DEV_KEY", raising=False)
    assert development_key(load(keys=(hash_of("k"),))) is None


def test_development_key_is_not_good_beyond_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_DEV_KEY", "rk_mine")
    assert development_key(load(host="0.0.0.0", keys=(hash_of("k"),))) is None
    with pytest.raises(ConfigError):
        development_key(load(host="0.0.0.0"))
