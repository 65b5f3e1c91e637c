"""One typed settings tree: a TOML file, then environment, then the command line.

An unknown key is an error, and so is a value of the wrong type: `load` raises `ConfigError` with the file and the
line. Environment: `RELAY_DEV_KEY` (the development key), `RELAY_KEYS` (comma-separated hashed keys),
`RELAY_DATA_DIR`; secrets of providers are named by the variable that holds them (`api_key_env`), never written here.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from relay import limits
from relay.errors import ConfigError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Section(BaseModel):
    """A table of the file; unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(Section):
    """[server]"""

    host: str = "127.0.0.1"
    port: int = Field(8080, ge=0, le=65535)
    """0: any free one; the ready line names it."""
    workers: int = Field(1, ge=1, le=64)
    data_dir: Path = Path("~/.local/share/voice-relay")
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allowed_origins: tuple[str, ...] = ()
    """Browser origins that may open sockets, matched exactly (`https://app.example`). The relay's own is always
    allowed, and any loopback origin while the relay itself listens on loopback only."""
    keys: tuple[str, ...] = ()
    """API keys as `sha256:<hex>` (`relay token --hash-key` prints it); required when bound beyond loopback."""
    max_sessions: int = Field(limits.MAX_SESSIONS, ge=1)
    public_url: str | None = None
    """What browsers reach the relay as (`https://voice.example`); default: the address of the request."""

    @model_validator(mode="after")
    def _tls_needs_both(self) -> ServerSettings:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise ValueError("tls_cert and tls_key go together")
        return self

    @field_validator("keys")
    @classmethod
    def _keys_are_hashed(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if not re.fullmatch(r"sha256:[0-9a-f]{64}", key):
                raise ValueError("a key is written as sha256:<64 hex digits>, never in clear")
        return keys


class TokenSettings(Section):
    """[tokens]"""

    issuer: str = "voice-relay"
    audience: str = "voice-relay"
    default_life_s: int = Field(limits.TOKEN_DEFAULT_LIFE_S, ge=1, le=limits.TOKEN_MAX_LIFE_S)
    setup_origins: tuple[str, ...] = ()
    """Origins whose pages may fetch tokens at the browser's setup door without a key. Empty: the door is closed."""
    setup_model: str | None = None
    """The model or agent such tokens are for."""
    mints_per_minute: int = Field(limits.MINTS_PER_MINUTE, ge=1)
    """Per address at the setup door, counted by each worker."""
    openai_single_use: bool = False
    """Whether a secret of the OpenAI door opens one session only; there it opens several until it expires."""
    jwks_path: Path | None = None
    """Public keys (a JWK Set) to verify tokens with, where the token service runs elsewhere and has another data_dir.
    None: the key ring in data_dir. Read again when the file changes."""


class TurnSettings(Section):
    """turn_detection of an agent; names as in the OpenAI Realtime protocol."""

    type: Literal["server_vad", "none"] = "server_vad"
    threshold: float = Field(0.5, ge=0.0, le=1.0)
    prefix_padding_ms: int = Field(300, ge=0, le=limits.MAX_PREFIX_PADDING_MS)
    silence_duration_ms: int = Field(500, ge=50, le=10_000)
    create_response: bool = True
    interrupt_response: bool = True
    idle_timeout_ms: int | None = Field(None, ge=5_000, le=30_000)


class SessionLimits(Section):
    """limits of an agent."""

    max_session_s: float = Field(limits.MAX_SESSION_S, gt=0, le=limits.MAX_SESSION_S)
    idle_limit_s: float = Field(limits.IDLE_LIMIT_S, gt=0)


class AgentSettings(Section):
    """[agents.NAME]: what is set here, the caller cannot change."""

    model: str | None = None
    """A realtime model; or compose one of the next three."""
    listen: str | None = None
    think: str | None = None
    speak: str | None = None
    instructions: str | None = None
    voice: str | None = None
    speed: float | None = Field(None, ge=0.25, le=1.5)
    language: str | None = None
    tools: tuple[str, ...] = ()
    """Names of [tools] entries, or `mcp:SERVER` for all tools of an MCP server."""
    show_tools: bool = False
    """Whether the caller sees the server tools and their calls."""
    turn_detection: TurnSettings | None = None
    greeting: str | None = None
    """Said as soon as the session is open."""
    limits: SessionLimits = SessionLimits()

    @model_validator(mode="after")
    def _one_way_to_compose(self) -> AgentSettings:
        parts = [self.listen, self.think, self.speak]
        if self.model and any(parts):
            raise ValueError("give either model or listen/think/speak, not both")
        if any(parts) and not all(parts):
            raise ValueError("listen, think and speak go together")
        return self


class ToolSettings(Section):
    """[tools.NAME]: a function that the relay runs by calling an HTTP endpoint."""

    url: str
    method: Literal["GET", "POST"] = "POST"
    """POST sends the arguments as a JSON body, GET as the query."""
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    headers_env: dict[str, str] = Field(default_factory=dict)
    """Header name to the environment variable that holds its value."""
    deadline_s: float = Field(limits.TOOL_DEADLINE_S, gt=0, le=300)


class McpSettings(Section):
    """[mcp.NAME]: a Model Context Protocol server, started as a process or reached over streamable HTTP."""

    command: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    """Environment of the process: name to the variable of ours that holds the value."""
    url: str | None = None
    headers_env: dict[str, str] = Field(default_factory=dict)
    allow: tuple[str, ...] | None = None
    """Tool names to offer; default: all."""
    deadline_s: float = Field(limits.TOOL_DEADLINE_S, gt=0, le=300)

    @model_validator(mode="after")
    def _one_transport(self) -> McpSettings:
        if bool(self.command) == bool(self.url):
            raise ValueError("give either command or url")
        return self


class ProviderSettings(Section):
    """[providers.NAME]: an upstream that speaks a dialect we know; models are `NAME/<model>`."""

    type: Literal["openai_compatible"] = "openai_compatible"
    base_url: str
    """`https://host/v1`; the realtime socket is `/realtime` below it."""
    api_key_env: str | None = None
    turn_detection_owner: Literal["model", "relay"] = "model"


class Config(Section):
    """The whole file."""

    server: ServerSettings = ServerSettings()
    tokens: TokenSettings = TokenSettings()
    agents: dict[Name, AgentSettings] = Field(default_factory=dict)
    tools: dict[Name, ToolSettings] = Field(default_factory=dict)
    mcp: dict[Name, McpSettings] = Field(default_factory=dict)
    providers: dict[Name, ProviderSettings] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _names_resolve(self) -> Config:
        for name, agent in self.agents.items():
            for tool in agent.tools:
                known = tool[4:] in self.mcp if tool.startswith("mcp:") else tool in self.tools
                if not known:
                    raise ValueError(f"agents.{name}.tools names {tool!r}, which is not configured")
        for name in self.providers:
            if name in ("local", "agent"):
                raise ValueError(f"providers.{name}: this name is taken")
        return self


def load(
    path: Path | None, overrides: Mapping[str, Any] | None = None, environ: Mapping[str, str] | None = None
) -> Config:
    """Read a configuration file and lay environment and command line over it.

    Args:
        path: a TOML file; None for the defaults.
        overrides: values of `[server]` given on the command line; None values are ignored.
        environ: the environment, `os.environ` by default.

    Raises:
        ConfigError: names the file, the line and the key.
    """
    environ = os.environ if environ is None else environ
    text, tree = "", {}
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
            tree = tomllib.loads(text)
        except OSError as error:
            raise ConfigError(error.strerror or "cannot be read", str(path)) from None
        except UnicodeDecodeError:
            raise ConfigError("is not UTF-8 text", str(path)) from None
        except tomllib.TOMLDecodeError as error:
            found = re.search(r"line (\d+)", str(error))
            raise ConfigError(str(error), str(path), int(found[1]) if found else None) from None
    server = tree.setdefault("server", {})
    if isinstance(server, dict):
        if environ.get("RELAY_DATA_DIR"):
            server["data_dir"] = environ["RELAY_DATA_DIR"]
        if environ.get("RELAY_KEYS"):
            server["keys"] = [*server.get("keys", ()), *filter(None, environ["RELAY_KEYS"].split(","))]
        server.update({key: value for key, value in (overrides or {}).items() if value is not None})
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        keys = [str(part) for part in first["loc"]]
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "unknown key"
        where = ".".join(keys)
        raise ConfigError(f"{where}: {message}" if where else message, str(path) if path else None,
                          line_of(text, keys)) from None


def line_of(text: str, keys: list[str]) -> int | None:
    """The line, counted from 1, on which the key path `keys` is set in TOML `text`, or its table begins."""
    best: int | None = None
    table: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = line.strip()
        header = re.fullmatch(r"\[+\s*(.+?)\s*\]+\s*(#.*)?", bare)
        if header and "=" not in header[1]:
            table = [part.strip(" \"'") for part in re.findall(r'"[^"]*"|\'[^\']*\'|[^.]+', header[1])]
            if table == keys[: len(table)]:
                best = number
            continue
        found = re.match(r"([A-Za-z0-9_\"'.-]+)\s*=", bare)
        if found:
            here = [*table, *(part.strip("\"'") for part in found[1].split("."))]
            if here == keys[: len(here)]:
                return number
    return best
