"""What the README shows is what works."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from relay.config import load

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first block of a language."""
    found = re.search(rf"```{language}\n(.*?)```", README, re.DOTALL)
    assert found, language
    return found[1]


def test_commands_are_one_line_each() -> None:
    commands = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    assert len(commands) >= 2
    assert all(len(command.strip().splitlines()) == 1 for command in commands)


def test_ci_calls_the_readmes_test_command() -> None:
    command = [line for line in README.splitlines() if "tests/run.sh" in line][0].split("&&")[-1].strip()
    assert command in (Path(__file__).parents[2] / ".ci" / "run").read_text(encoding="utf-8")


def test_configuration_is_accepted(tmp_path: Path) -> None:
    path = tmp_path / "relay.toml"
    path.write_text(block("toml").replace("sha256:…", "sha256:" + "0" * 64), encoding="utf-8")
    config = load(path, environ={})
    assert config.agents["front-desk"].tools == ("find_room", "mcp:calendar")


@pytest.mark.e2e
def test_python_example_is_answered(relay_server: Any) -> None:
    code = block("python").replace("http://127.0.0.1:8080", relay_server.url)
    environment = {**os.environ, "RELAY_API_KEY": relay_server.key}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) > 3
