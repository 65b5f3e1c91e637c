"""The command line: `relay COMMAND`. One file per command, imported when that command is called.

Exit codes: 0 done, 1 it did not work, 2 used or configured wrongly, 130 interrupted.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import typer

from relay.errors import ConfigError, RelayError

COMMANDS = ("serve", "talk", "token", "doctor", "version")
"""`relay.cli.NAME` has a function NAME, whose parameters and docstring are the command."""


def relay() -> None:
    """Voice Relay: one self-hosted server between every voice client and every speech model."""


def command_line(arguments: list[str]) -> typer.Typer:
    """The command that `arguments` name, so that `relay version` does not load a server; all of them for the help."""
    app = typer.Typer(
        callback=relay, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    named = [name for name in COMMANDS if [name] == arguments[:1]]
    for name in named or COMMANDS:
        app.command(name)(getattr(importlib.import_module(f"relay.cli.{name}"), name))
    return app


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command; what went wrong in an expected way is one line on standard error, never a traceback."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        command_line(arguments)(arguments, prog_name="relay")
    except RelayError as error:
        print(f"relay: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, ConfigError) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
