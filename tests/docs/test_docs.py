"""What docs/ says is what the code does."""

import ast
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GENERATED = runpy.run_path(str(Path(__file__).with_name("generate.py")))
SYMBOL = re.compile(r"`((?:relay|token_service|bench|tests)/[\w/.]+\.py)(?::([\w.]+))?`")


@pytest.mark.parametrize("path", GENERATED["PAGES"])
def test_generated_page_is_up_to_date(path):
    committed = (ROOT / path).read_text(encoding="utf-8")
    assert committed == GENERATED["PAGES"][path](), "run python -m tests.docs.generate"


def symbols(path: Path) -> set[str]:
    """Dotted names that a module defines: functions, classes, their members, constants."""
    found = set()

    def collect(body, prefix):
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                found.add(prefix + node.name)
                if isinstance(node, ast.ClassDef):
                    collect(node.body, f"{prefix}{node.name}.")
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                found.update(prefix + target.id for target in targets if isinstance(target, ast.Name))

    collect(ast.parse(path.read_text(encoding="utf-8")).body, "")
    return found


def missing(text: str) -> list[str]:
    """References of a page to files or symbols that do not exist."""
    gone = []
    for file, symbol in SYMBOL.findall(text):
        path = ROOT / file
        if not path.is_file() or (symbol and symbol not in symbols(path)):
            gone.append(f"{file}:{symbol}")
    return gone


PAGES = sorted([*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_names_only_what_exists(page):
    assert missing(page.read_text(encoding="utf-8")) == []


def test_path_of_a_frame_is_described_with_symbols():
    text = (ROOT / "docs/frame.md").read_text(encoding="utf-8")
    assert len(SYMBOL.findall(text)) >= 8


def test_reference_to_nothing_is_found():
    good = "`relay/core/turns.py:TurnTaking.take` and `relay/limits.py:TICK_S` in `relay/config.py`"
    assert missing(good) == []
    assert missing("`relay/core/turns.py:TurnTaking.nosuch`") == ["relay/core/turns.py:TurnTaking.nosuch"]
    assert missing("`relay/nosuch.py`") == ["relay/nosuch.py:"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("A_BYTES", 21 * 1024 * 1024, "21 MiB"), ("A_BYTES", 16384, "16 KiB"), ("A_BYTES", 1000, "1,000 bytes"),
        ("A_S", 3600.0, "3,600 s"), ("A_S", 0.5, "0.5 s"), ("A_MS", 60_000, "60,000 ms"),
        ("A_PER_S", 500, "500 a second"), ("MAX_ITEMS", 2000, "2,000"),
    ],
)
def test_value_is_shown_with_its_unit(name, value, shown):
    assert GENERATED["shown"](name, value) == shown
