"""Exit codes, and errors without tracebacks."""

import importlib

import pytest

from relay.cli.main import COMMANDS, main
from relay.errors import ConfigError, RelayError


def outcome(capsys, *arguments):
    """Exit code, standard output, standard error."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    said = capsys.readouterr()
    return ended.value.code, said.out, said.err


def failing_with(monkeypatch, error):
    def version() -> None:
        raise error

    monkeypatch.setattr("relay.cli.version.version", version)


def test_help_names_every_command_with_a_sentence(capsys):
    code, out, _ = outcome(capsys, "--help")
    assert code == 0
    for command in COMMANDS:
        (line,) = [line for line in out.splitlines() if line.strip(" │").startswith(command + " ")]
        assert len(line.strip(" │").split()) > 2


def test_every_command_is_a_function_of_its_own_file():
    for command in COMMANDS:
        assert callable(getattr(importlib.import_module(f"relay.cli.{command}"), command))


def test_no_command_shows_the_help_and_fails(capsys):
    code, out, err = outcome(capsys)
    assert code == 2
    assert "Usage: relay" in out + err


def test_unknown_command_is_a_usage_error(capsys):
    code, _, err = outcome(capsys, "sreve")
    assert code == 2
    assert "sreve" in err


def test_configuration_error_is_one_line_and_exit_code_2(capsys, monkeypatch):
    failing_with(monkeypatch, ConfigError("unknown key", "relay.toml", 3))
    assert outcome(capsys, "version") == (2, "", "relay: relay.toml:3: unknown key\n")


def test_other_expected_error_is_one_line_and_exit_code_1(capsys, monkeypatch):
    failing_with(monkeypatch, RelayError("there was no answer"))
    assert outcome(capsys, "version") == (1, "", "relay: there was no answer\n")


def test_unexpected_error_is_not_hidden(monkeypatch):
    failing_with(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["version"])
