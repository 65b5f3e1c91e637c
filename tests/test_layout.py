"""The house rules, checked on the source itself (CONTRIBUTING.md says why each of them is there)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

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
    def name(self) -> str:
        """Dotted name of the module."""
        return ".".join(self.path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def tree(self) -> ast.Module:
        return parsed(self.path)


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def sources(*folders: str) -> list[Source]:
    return [Source(path) for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))
            if "node_modules" not in path.parts]


def each(*folders: str, where=lambda source: True) -> pytest.MarkDecorator:
    """One test for every file, named by it."""
    chosen = [source for source in sources(*folders) if where(source)]
    return pytest.mark.parametrize("source", chosen, ids=[str(one.path.relative_to(ROOT)) for one in chosen])


def within(name: str, prefixes: tuple[str, ...]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def imports(tree: ast.Module) -> Iterator[str]:
    """Dotted names of everything imported, also inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if (ROOT / whole.replace(".", "/")).exists() or _is_module(whole) else str(node.module)


def _is_module(name: str) -> bool:
    return (ROOT / name.replace(".", "/")).with_suffix(".py").exists()


@each(*PROGRAM)
def test_imports_point_inward(source):
    rule = max((prefix for prefix in ARROWS if within(source.name, (prefix,))), key=len, default=None)
    if rule is None:
        assert source.name == "relay", "a new package needs a line in ARROWS"
        return
    ours = [name for name in imports(source.tree) if name.split(".")[0] in PROGRAM]
    wrong = [name for name in ours if not within(name, ARROWS[rule])]
    assert not wrong, f"{rule} may import only {ARROWS[rule]}"
    if rule == "relay.net":
        assert not [name for name in ours if within(name, ("relay.cli",))]


@each("relay", where=lambda source: within(source.name, PURE))
def test_pure_code_has_no_clock_no_thread_and_no_io(source):
    assert not {name.split(".")[0] for name in imports(source.tree)} & IMPURE
    calls = {called(node) for node in ast.walk(source.tree) if isinstance(node, ast.Call)}
    assert not calls & {"open", "read_text", "read_bytes", "write_text", "write_bytes"}


def called(node: ast.Call) -> str:
    """The last part of the name of what is called."""
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def has_code(source: Source) -> bool:
    """Whether there is behaviour to test: a function with a body beyond a docstring."""
    functions = [node for node in ast.walk(source.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return any(not all(isinstance(statement, ast.Expr) for statement in node.body) for node in functions)


@each(*PROGRAM, where=has_code)
def test_every_module_with_code_has_its_test_file(source):
    relative = source.path.relative_to(ROOT)
    if str(relative) in UNTESTED:
        return
    name = relative.parent.name if relative.stem == "__init__" else relative.stem.strip("_")
    assert (ROOT / "tests" / relative.parent / f"test_{name}.py").exists()


def test_exemptions_from_the_mirror_exist_and_give_a_reason():
    for path, reason in UNTESTED.items():
        assert (ROOT / path).exists()
        assert len(reason) > 20


@each(*PROGRAM, "tests", "bench")
def test_files_and_functions_are_short(source):
    assert len(source.text.splitlines()) <= MAX_FILE_LINES
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            assert node.end_lineno - node.lineno + 1 <= MAX_FUNCTION_LINES, f"{node.name}, line {node.lineno}"


@pytest.mark.parametrize("path", sorted((ROOT / "relay" / "web").rglob("*.js")), ids=lambda path: path.name)
def test_scripts_of_the_pages_are_short(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MAX_FILE_LINES


def classes(tree: ast.Module) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


@each(*PROGRAM)
def test_constructors_take_few_parameters(source):
    for node in classes(source.tree):
        for method in node.body:
            if isinstance(method, ast.FunctionDef) and method.name == "__init__":
                taken = method.args.posonlyargs + method.args.args + method.args.kwonlyargs
                assert len(taken) - 1 <= MAX_CONSTRUCTOR_PARAMETERS, f"{node.name}, line {method.lineno}"


@each(*PROGRAM)
def test_class_names_say_what_a_thing_is(source):
    assert not [node.name for node in classes(source.tree) if BANNED_NAMES.search(node.name)]


def test_inheritance_is_shallow():
    bases: dict[str, set[str]] = {}
    for source in sources(*PROGRAM):
        for node in classes(source.tree):
            names = {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases}
            bases.setdefault(node.name, set()).update(names - {node.name})

    def ancestors(name: str) -> int:
        return max((1 + ancestors(base) for base in bases[name] if base in bases), default=0)

    assert not {name: ancestors(name) for name in bases if ancestors(name) > MAX_ANCESTORS}


def unbounded(source: Source) -> Iterator[int]:
    """Lines that make a queue without a bound."""
    lines = source.text.splitlines()

    def excused(node: ast.AST) -> bool:
        return re.search(r"# bounded(:| by| in) \S+", lines[node.lineno - 1]) is not None

    for node in ast.walk(source.tree):
        if isinstance(node, ast.keyword) and node.arg == "default_factory":
            if ast.unparse(node.value).split(".")[-1] in ("deque", "Queue") and not excused(node.value):
                yield node.value.lineno
        elif isinstance(node, ast.Call) and called(node) == "deque":
            bounded = len(node.args) > 1 or any(word.arg == "maxlen" for word in node.keywords)
            if not bounded and not excused(node):
                yield node.lineno
        elif isinstance(node, ast.Call) and re.fullmatch(r"(Lifo|Priority|Joinable)?Queue", called(node)):
            size = [*node.args, *(word.value for word in node.keywords if word.arg == "maxsize")]
            if not size or ast.unparse(size[0]) in ("0", "-1"):
                yield node.lineno
        elif isinstance(node, ast.Call) and called(node) == "SimpleQueue" and not excused(node):
            yield node.lineno


@each(*PROGRAM)
def test_every_queue_has_a_bound(source):
    assert not list(unbounded(source))


@each(*PROGRAM, where=lambda source: source.name != "relay.net.tasks")
def test_tasks_are_made_in_one_place(source):
    made = [
        node.lineno for node in ast.walk(source.tree)
        if isinstance(node, ast.Attribute) and node.attr in ("create_task", "ensure_future")
    ]
    assert not made, "use relay.net.tasks.spawn"


def bounds() -> list[tuple[str, ast.stmt]]:
    """Names of limits.py, each with the statement that follows."""
    body = parsed(ROOT / "relay/limits.py").body
    following = [*body[1:], ast.Pass()]
    return [
        (node.target.id, after) for node, after in zip(body, following, strict=True)
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
    ]


@pytest.mark.parametrize(("name", "after"), bounds(), ids=[name for name, _ in bounds()])
def test_bound_has_a_unit_and_a_reason(name, after):
    assert name.split("_")[-1] in UNITS | COUNTS, "say in the name what is counted, or in which unit"
    assert isinstance(after, ast.Expr), "a docstring below it gives the reason"
    assert isinstance(after.value, ast.Constant)
    assert len(str(after.value.value)) > 20


def test_limits_holds_nothing_but_bounds():
    body = parsed(ROOT / "relay/limits.py").body
    assert not [node for node in body if not isinstance(node, ast.Expr | ast.AnnAssign | ast.ImportFrom)]


def test_every_bound_is_used():
    text = "\n".join(source.text for source in sources(*PROGRAM) if source.name != "relay.limits")
    assert not [name for name, _ in bounds() if not re.search(rf"\b{name}\b", text)]


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
