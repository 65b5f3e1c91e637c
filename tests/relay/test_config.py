"""One typed tree: every key is known, every mistake has a place."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay import limits
from relay.config import Config, line_of, load
from relay.errors import ConfigError

KEY = "sha256:" + "0" * 64


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "relay.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refused(tmp_path: Path, text: str) -> ConfigError:
    with pytest.raises(ConfigError) as error:
        load(written(tmp_path, text), environ={})
    return error.value


def test_without_a_file_everything_has_a_default() -> None:
    config = load(None, environ={})
    assert config == Config()
    assert (config.server.host, config.server.port) == ("127.0.0.1", 8080)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[server]\nport = 1\nprot = 2\n", 3, "server.prot: unknown key"),
        ("[sever]\n", 1, "sever: unknown key"),
        ("[server]\n\nport = 80800\n", 3, "server.port"),
        ('[server]\nhost = "a"\nworkers = "many"\n', 3, "server.workers"),
        ("[agents.x.limits]\nmax_session_s = -1\n", 2, "agents.x.limits.max_session_s"),
        ('[server]\nkeys = ["secret"]\n', 2, "server.keys"),
        ('[agents.x]\nmodel = "a"\nlisten = "b"\n', 1, "either model or listen/think/speak"),
        ('[agents.x]\nlisten = "b"\n', 1, "go together"),
        ("[mcp.x]\n", 1, "either command or url"),
        ('[server]\ntls_cert = "c"\n', 1, "tls_cert and tls_key go together"),
        ("[server\n", 1, "line 1"),
    ],
)
def test_mistake_names_its_line_and_its_key(tmp_path: Path, text: str, line: int, message: str) -> None:
    error = refused(tmp_path, text)
    assert error.line == line
    assert message in str(error)
    assert f"relay.toml:{line}: " in str(error)


def test_tool_that_is_not_configured_is_named(tmp_path: Path) -> None:
    assert "'missing'" in str(refused(tmp_path, '[agents.x]\ntools = ["missing"]\n'))
    assert "'mcp:missing'" in str(refused(tmp_path, '[agents.x]\ntools = ["mcp:missing"]\n'))


def test_provider_cannot_take_a_name_of_ours(tmp_path: Path) -> None:
    for name in ("local", "agent"):
        assert "taken" in str(refused(tmp_path, f'[providers.{name}]\nbase_url = "http://x"\n'))


def test_value_of_a_refused_key_is_not_repeated(tmp_path: Path) -> None:
    assert "hunter2" not in str(refused(tmp_path, '[server]\nkeys = ["hunter2"]\n'))


def test_file_that_is_missing_or_no_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere.toml"):
        load(tmp_path / "nowhere.toml", environ={})
    (tmp_path / "bad.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "bad.toml", environ={})


def test_environment_lies_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    path = written(tmp_path, f'[server]\nport = 1\ndata_dir = "a"\nkeys = ["{KEY}"]\n')
    environ = {"RELAY_DATA_DIR": "/b", "RELAY_KEYS": "sha256:" + "1" * 64}
    config = load(path, {"port": 2, "host": None}, environ)
    assert (config.server.port, config.server.host, config.server.data_dir) == (2, "127.0.0.1", Path("/b"))
    assert len(config.server.keys) == 2


def test_configuration_does_not_change_after_loading() -> None:
    with pytest.raises(Exception, match="frozen"):
        Config().server.port = 1  # type: ignore[misc]


def test_line_of_finds_tables_dotted_keys_and_quoted_names() -> None:
    text = '[a]\nb.c = 1\n[x."y.z"]\nw = 2\n'
    assert line_of(text, ["a", "b", "c"]) == 2
    assert line_of(text, ["x", "y.z", "w"]) == 4
    assert line_of(text, ["x", "y.z"]) == 3
    assert line_of(text, ["nowhere"]) is None


def test_bounds_of_the_file_are_the_bounds_of_the_program(tmp_path: Path) -> None:
    text = f"[agents.x.limits]\nmax_session_s = {limits.MAX_SESSION_S + 1}\n"
    assert "max_session_s" in str(refused(tmp_path, text))
