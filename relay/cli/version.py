"""`relay version`."""

from __future__ import annotations

from relay import __version__


def version() -> None:
    """Print the version."""
    print(f"relay {__version__}")
