"""What the doctor finds, each finding provoked for real."""

import socket
import tomllib
from pathlib import Path

import pytest

from relay.cli import doctor as doctor_module
from relay.cli.doctor import (
    NEEDED,
    data_directory,
    engines,
    examine,
    keys,
    open_files,
    packages,
    port_free,
    python_version,
    sound,
    uvloop,
)
from relay.cli.main import main

ROOT = Path(__file__).parents[3]


def test_needed_packages_are_those_of_the_project():
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    names = {line.partition(">")[0].partition("[")[0].strip() for line in declared}
    assert set(NEEDED) | {"uvloop"} == names


def test_every_needed_package_imports_here():
    assert [finding for finding in packages(NEEDED.items()) if finding.level != "ok"] == []


def test_package_that_does_not_import_is_a_fail_with_a_remedy():
    (finding,) = packages([("nosuch", "nosuch_module")])
    assert finding.level == "fail"
    assert finding.hint == "pip install --force-reinstall nosuch"


@pytest.mark.parametrize(("version", "level"), [((3, 10, 9), "fail"), ((3, 11, 0), "ok"), ((3, 14, 1), "ok")])
def test_python_older_than_3_11_is_a_fail(version, level):
    assert python_version(version).level == level


def test_local_engines_load():
    assert [finding.level for finding in engines()] == ["ok", "ok"]


def test_broken_engine_is_a_fail_that_says_what_suffers(monkeypatch):
    monkeypatch.setattr("espeakng_loader.get_library_path", lambda: "/nonexistent/libespeak.so")
    _, espeak = engines()
    assert espeak.level == "fail"
    assert "local/agent" in espeak.hint


def test_missing_uvloop_is_only_a_warning(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "uvloop", None)
    assert uvloop().level == "warn"


def test_missing_sound_is_only_a_warning(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sounddevice", None)
    assert (sound().level, sound().detail) == ("warn", "not installed")


def test_port_in_use_is_a_fail():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert port_free("127.0.0.1", port).level == "fail"
    assert port_free("127.0.0.1", port).level == "ok"


def test_address_of_another_machine_is_a_fail():
    assert port_free("192.0.2.1", 8080).level == "fail"


def test_no_keys_beyond_loopback_is_a_fail():
    assert keys("127.0.0.1", ()).level == "ok"
    assert keys("0.0.0.0", ()).level == "fail"
    assert keys("0.0.0.0", ("sha256:" + "0" * 64,)).level == "ok"


def test_data_directory_open_to_others_is_a_fail(tmp_path):
    path = tmp_path / "data"
    assert data_directory(path).detail.endswith("will be made")
    path.mkdir(mode=0o755)
    assert data_directory(path).hint == f"chmod 700 {path}"
    path.chmod(0o700)
    assert data_directory(path).level == "ok"


def test_data_directory_that_is_a_file_is_a_fail(tmp_path):
    (tmp_path / "file").touch()
    assert data_directory(tmp_path / "file").level == "fail"


@pytest.mark.parametrize(("limit", "level"), [(1024, "warn"), (2256, "ok"), (-1, "ok")])
def test_few_open_files_are_a_warning(limit, level):
    assert open_files(1000, limit).level == level


def test_wrong_configuration_is_a_fail_with_its_line(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_module, "NEEDED", {})
    path = tmp_path / "relay.toml"
    path.write_text("[server]\nprot = 1\n")
    *_, last = examine(path, {}, {})
    assert (last.level, last.detail) == ("fail", f"{path}:2: server.prot: unknown key")


def test_tool_without_its_variable_is_a_fail(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor_module, "NEEDED", {})
    path = tmp_path / "relay.toml"
    path.write_text('[tools.x]\nurl = "http://127.0.0.1/"\nheaders_env = {Key = "UNSET"}\n')
    found = {finding.what: finding for finding in examine(path, {"data_dir": tmp_path / "d", "port": 0}, {})}
    assert found["tools"].level == "fail"
    assert "UNSET" in found["tools"].detail


def exit_code(data_dir, port):
    with pytest.raises(SystemExit) as ended:
        main(["doctor", "--data-dir", str(data_dir), "--port", str(port)])
    return ended.value.code


def test_exit_code_is_1_when_something_fails_and_0_otherwise(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(doctor_module, "NEEDED", {})
    assert exit_code(tmp_path / "d", 0) == 0
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert exit_code(tmp_path / "d", taken.getsockname()[1]) == 1
    assert "in use" in capsys.readouterr().out
