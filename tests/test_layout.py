"""The house rules, checked on the source itself (CONTRIBUTING.md says why each of them is there)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
PROGRAM = ("relay", "token_service")
MAX_FILE_LINES = 500
MAX_FUNCTION_LINES = 60
MAX_CONSTRUCTOR_PARAMETERS = 7
MAX_ANCESTORS = 2

WORDS = ("relay.nouns", "relay.events", "relay.commands", "relay.errors", "relay.limits")
ARROWS: dict[str, tuple[str, ...]] = {
    "relay.nouns": (),
    "relay.errors": (),
    "relay.limits": (),
    "relay.events": ("relay.nouns",),
    "relay.commands": ("relay.nouns", "relay.events", "relay.errors"),
    "relay.config": ("relay.errors", "relay.limits"),
    "relay.audio": ("relay.audio", *WORDS),
    "relay.core": ("relay.core", "relay.audio", *WORDS),
    "relay.dialects": ("relay.dialects", "relay.audio", *WORDS),
    "relay.providers": ("relay.providers", "relay.dialects", "relay.audio", "relay.config", *WORDS),
    "relay.routing": ("relay.providers", "relay.dialects", "relay.config", *WORDS),
    "relay.obs": ("relay.obs", "relay.net.tasks", "relay.config", *WORDS),
    "relay.net": ("relay", "token_service"),
    "relay.cli": ("relay", "token_service"),
    "token_service": ("token_service", "relay.config", "relay.errors", "relay.limits"),
}
"""What of ours a module may import: its longest prefix here decides."""

PURE = ("relay.core", "relay.dialects", "relay.audio", *WORDS)
IMPURE = {
    "aiohttp", "anyio", "asyncio", "concurrent", "datetime", "http", "httpx", "logging", "multiprocessing", "os",
    "queue", "random", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess",
    "tempfile", "threading", "time", "urllib", "uvloop", "websockets",
}
"""Clocks, threads, sockets and files: in pure code time is an argument and nothing is awaited."""

FILE_ACCESS = {"open", "read_text", "read_bytes", "write_text", "write_bytes"}

UNTESTED: dict[str, str] = {}
"""Modules without a test file of their own, each with the reason."""

BANNED_NAMES = re.compile(r"(Manager|Handler|Processor|Helper|Utils?)$")
UNITS = {"S", "MS", "HZ", "BYTES", "CHARS"}
COUNTS = {
    "ADDRESSES", "BACKLOG", "CALLERS", "CONNECTIONS", "DEPTH", "EVENTS", "FILES", "FRAMES", "ITEMS", "LIMIT", "MINUTE",
    "OPEN", "PAIRS", "PROCESSES", "SESSIONS", "SIZE", "SPEED", "STAGES", "TASKS", "TOOLS", "WINDOWS", "WORKERS",
}
"""Last words of names in limits.py: a unit, or what is counted."""


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: Path

    @property
    def file(self) -> str:
        return str(self.path).removeprefix(f"{ROOT}/")

    @property
    def name(self) -> str:
        """Dotted name of the module."""
        return self.file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.text)))

    def of(self, *kinds: type[ast.AST]) -> list[Any]:
        """All nodes of some kinds."""
        return [node for node in self.nodes if isinstance(node, kinds)]

    def at(self, node: Any, what: str = "") -> str:
        """A place, for a message."""
        return f"{self.file}:{node.lineno} {what}".strip()


@cache
def sources(*folders: str) -> list[Source]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [Source(path) for path in found if "node_modules" not in path.parts]


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def imports(source: Source) -> Iterator[str]:
    """Dotted names of the modules imported anywhere in a file."""
    for node in source.of(ast.Import):
        yield from (alias.name for alias in node.names)
    for node in source.of(ast.ImportFrom):
        assert node.level == 0, source.at(node, "a relative import")
        for alias in node.names:
            whole = f"{node.module}.{alias.name}"
            yield whole if is_module(whole) else str(node.module)


@cache
def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or path.is_dir()


def rule_for(source: Source) -> str | None:
    return max((prefix for prefix in ARROWS if within(source.name, (prefix,))), key=len, default=None)


def test_every_package_has_its_arrows():
    assert [source.name for source in sources(*PROGRAM) if rule_for(source) is None] == ["relay"]


def test_imports_point_inward():
    wrong = [
        f"{source.name} -> {name}"
        for source in sources(*PROGRAM)
        for name in imports(source)
        if name.split(".")[0] in PROGRAM and not within(name, ARROWS.get(str(rule_for(source)), ()))
    ]
    assert not wrong


def test_nothing_imports_the_command_line():
    others = [source for source in sources(*PROGRAM) if not within(source.name, ("relay.cli",))]
    assert not [source.file for source in others if any(within(name, ("relay.cli",)) for name in imports(source))]


def test_pure_code_has_no_clock_no_thread_and_no_io():
    wrong = []
    for source in sources("relay"):
        if within(source.name, PURE):
            wrong += [f"{source.file} {name}" for name in imports(source) if name.split(".")[0] in IMPURE]
            wrong += [source.at(node) for node in source.of(ast.Call) if called(node) in FILE_ACCESS]
    assert not wrong


def called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def has_code(source: Source) -> bool:
    """Whether there is behaviour to test: a function with a body beyond a docstring."""
    functions = source.of(ast.FunctionDef, ast.AsyncFunctionDef)
    return any(not all(isinstance(statement, ast.Expr) for statement in node.body) for node in functions)


def test_every_module_with_code_has_its_test_file():
    missing = []
    for source in sources(*PROGRAM):
        path = Path(source.file)
        name = path.parent.name if path.stem == "__init__" else path.stem.strip("_")
        mirror = Path("tests") / path.parent / f"test_{name}.py"
        if has_code(source) and source.file not in UNTESTED and not (ROOT / mirror).exists():
            missing.append(str(mirror))
    assert not missing


def test_exemptions_from_the_mirror_exist_and_give_a_reason():
    for path, reason in UNTESTED.items():
        assert (ROOT / path).exists()
        assert len(reason) > 20


def test_files_are_short():
    files = [*(source.path for source in sources(*PROGRAM, "tests", "bench")), *(ROOT / "relay/web").rglob("*.js")]
    assert not [str(path) for path in files if len(path.read_text(encoding="utf-8").splitlines()) > MAX_FILE_LINES]


def test_functions_are_short():
    assert not [
        source.at(node, node.name)
        for source in sources(*PROGRAM, "tests", "bench")
        for node in source.of(ast.FunctionDef, ast.AsyncFunctionDef)
        if node.end_lineno - node.lineno + 1 > MAX_FUNCTION_LINES
    ]


def test_constructors_take_few_parameters():
    assert not [
        source.at(node)
        for source in sources(*PROGRAM)
        for node in source.of(ast.FunctionDef)
        if node.name == "__init__"
        and len(node.args.posonlyargs + node.args.args + node.args.kwonlyargs) - 1 > MAX_CONSTRUCTOR_PARAMETERS
    ]


def test_class_names_say_what_a_thing_is():
    assert not [
        source.at(node, node.name)
        for source in sources(*PROGRAM)
        for node in source.of(ast.ClassDef)
        if BANNED_NAMES.search(node.name)
    ]


def test_inheritance_is_shallow():
    bases: dict[str, set[str]] = {}
    for source in sources(*PROGRAM):
        for node in source.of(ast.ClassDef):
            names = {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases}
            bases.setdefault(node.name, set()).update(names - {node.name})

    def ancestors(name: str) -> int:
        return max((1 + ancestors(base) for base in bases[name] if base in bases), default=0)

    assert not {name: ancestors(name) for name in bases if ancestors(name) > MAX_ANCESTORS}


def unbounded(source: Source) -> Iterator[str]:
    """Places that make a queue without a bound."""
    lines = source.text.splitlines()

    def excused(node: Any) -> bool:
        return re.search(r"# bounded(:| by| in) \S+", lines[node.lineno - 1]) is not None

    for node in source.of(ast.keyword):
        made = ast.unparse(node.value).split(".")[-1]
        if node.arg == "default_factory" and made in ("deque", "Queue") and not excused(node.value):
            yield source.at(node.value)
    for node in source.of(ast.Call):
        name, words = called(node), {word.arg: word.value for word in node.keywords}
        if name == "deque" or name == "SimpleQueue":
            bounded = len(node.args) > 1 or "maxlen" in words or excused(node)
        elif re.fullmatch(r"(Lifo|Priority|Joinable)?Queue", name):
            size = node.args[0] if node.args else words.get("maxsize")
            bounded = size is not None and ast.unparse(size) not in ("0", "-1")
        else:
            continue
        if not bounded:
            yield source.at(node)


def test_every_queue_has_a_bound():
    assert not [place for source in sources(*PROGRAM) for place in unbounded(source)]


def test_tasks_are_made_in_one_place():
    assert not [
        source.at(node, "use relay.net.tasks.spawn")
        for source in sources(*PROGRAM)
        for node in source.of(ast.Attribute)
        if node.attr in ("create_task", "ensure_future") and source.name != "relay.net.tasks"
    ]


LIMITS = ast.parse((ROOT / "relay/limits.py").read_text(encoding="utf-8")).body


def bounds() -> list[str]:
    """Names of limits.py."""
    return [node.target.id for node in LIMITS if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)]


def test_every_bound_says_what_is_counted_or_in_which_unit():
    assert not [name for name in bounds() if name.split("_")[-1] not in UNITS | COUNTS]


def test_every_bound_has_its_reason_below():
    reasonless = []
    for node, after in zip(LIMITS, [*LIMITS[1:], ast.Pass()], strict=True):
        said = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
        if isinstance(node, ast.AnnAssign) and len(str(said)) <= 20:
            reasonless.append(ast.unparse(node))
    assert not reasonless


def test_limits_holds_nothing_but_bounds():
    assert not [node for node in LIMITS if not isinstance(node, ast.Expr | ast.AnnAssign | ast.ImportFrom)]


def test_every_bound_is_used():
    text = "\n".join(source.text for source in sources(*PROGRAM) if source.name != "relay.limits")
    assert not [name for name in bounds() if not re.search(rf"\b{name}\b", text)]


@pytest.mark.parametrize(
    ("line", "flagged"),
    [
        ("deque()", True), ("deque([1])", True), ("deque(maxlen=3)", False), ("deque([], 3)", False),
        ("deque()  # bounded: by the window", False), ("deque()  # bounded:", True), ("asyncio.Queue()", True),
        ("asyncio.Queue(0)", True), ("asyncio.Queue(maxsize=3)", False), ("queue.SimpleQueue()", True),
        ("field(default_factory=deque)", True), ("field(default_factory=list)", False),
    ],
)
def test_the_queue_rule_itself(tmp_path, line, flagged):
    path = tmp_path / "module.py"
    path.write_text(f"x = {line}\n")
    assert bool(list(unbounded(Source(path)))) is flagged
