"""The rooms, and what may stand in which: read from the source, not from what happens to run."""

from __future__ import annotations

import ast
import doctest
import importlib
import re
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from rockpress.core.diagnostics import python_phrase, speaking

ROOT = Path(__file__).parents[2]
LEVELS = [
    {"cli"},
    {"pipeline"},
    {"prune", "quantize", "convert", "accuracy", "board", "report"},
    {"calibration_data"},
    {"core"},
]
LEVEL = {room: number for number, rooms in enumerate(LEVELS) for room in rooms}
ON_CORE_ALONE = {"prune", "quantize", "convert"}
HANDLER = ROOT / "cli" / "handler.py"
# Each is named as its verb, as the module of the room that does the work may be.
VERBS = ROOT / "cli" / "commands"
# Messages elsewhere name an option by option("calib"), which each way of use says in its own words.
# The files that the starter writes call the program; the others are commands of other programs.
MAY_NAME_OPTIONS = {"ci_files.py", "install_source.py", "other_formats.py"}
# Where a library that is not everybody's may be imported.
ONLY_IN = {"typer": {"cli"}, "rich": {"cli"}, "rknn": {"convert"}}
LONGEST_FILE = 300
VAGUE = set(
    "one found told kept how what which said made known given seen wanted".split()
    + "place way aim odd few".split()
)
VAGUE_PER_1000_LINES = 3
OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")
OPTIONS_OF_PIP = {"--python", "--no-deps"}

FILES = sorted(file for room in LEVEL for file in (ROOT / room).rglob("*.py"))
# "rockpress.room.folder.module" -> its file, without the package itself
MODULES = {
    ".".join(("rockpress", *file.relative_to(ROOT).with_suffix("").parts)).removesuffix(
        ".__init__"
    ): file
    for file in FILES
}


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0]


@cache
def nodes_of(file: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(file.read_text())))


def imports_of(file: Path) -> Iterator[str]:
    """Every module that the file imports anywhere, with relative ones as "rockpress.room...."."""
    package = ("rockpress", *file.relative_to(ROOT).parts[:-1])
    for node in nodes_of(file):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = [*base, *(node.module.split(".") if node.module else ())]
            yield from (".".join([*module, alias.name]) for alias in node.names)


def modules_read_by(file: Path) -> set[str]:
    """The modules among MODULES that the file imports, or imports names from."""
    names = {name if name in MODULES else name.rpartition(".")[0] for name in imports_of(file)}
    return {name for name in names if name in MODULES and MODULES[name] != file}


def folder_of(module: str) -> str:
    is_folder = MODULES[module].name == "__init__.py"
    return module if is_folder else module.rpartition(".")[0]


def circle_in(readers: dict[str, set[str]]) -> list[str]:
    """A circle of names, each read by the one before; none is empty."""
    try:
        TopologicalSorter(readers).prepare()
    except CycleError as error:
        return list(reversed(error.args[1]))
    return []


def calls_of(file: Path) -> Iterator[ast.Call]:
    return (node for node in nodes_of(file) if isinstance(node, ast.Call))


def is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    names = {node.id if isinstance(node, ast.Name) else "" for node in caught if node}
    return handler.type is None or bool(names & {"Exception", "BaseException"})


def is_vague(node: ast.AST) -> bool:
    """Whether an argument, or a name or an attribute that is assigned, says nothing."""
    name = ""
    if isinstance(node, ast.arg):
        name = node.arg
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        name = node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        name = node.attr
    return name.lstrip("_") in VAGUE


def docstrings_of(file: Path) -> set[ast.AST]:
    owners = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    first = [node.body[0] for node in nodes_of(file) if isinstance(node, owners) and node.body]
    return {statement.value for statement in first if isinstance(statement, ast.Expr)}


def messages_of(file: Path) -> Iterator[tuple[int, str]]:
    """Line and text of the strings of one line, which docstrings and whole files are not."""
    docstrings = docstrings_of(file)
    for node in (node for node in nodes_of(file) if isinstance(node, ast.Constant)):
        if node not in docstrings and isinstance(node.value, str) and "\n" not in node.value:
            yield node.lineno, node.value


def test_every_room_is_known() -> None:
    assert {file.parent.name for file in ROOT.glob("*/__init__.py")} == set(LEVEL)


def test_every_folder_is_a_package() -> None:
    assert not [name_of(file) for file in FILES if not (file.parent / "__init__.py").is_file()]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_point_down(file: Path) -> None:
    own = room_of(file)
    for module in imports_of(file):
        package, _, rest = module.partition(".")
        room = rest.partition(".")[0]
        if package == "rockpress" and room != own:
            assert room in LEVEL, f"{name_of(file)} imports {module} of the package above"
            assert LEVEL[room] > LEVEL[own], f"{name_of(file)} imports {module}"
            assert own not in ON_CORE_ALONE or room == "core", f"{name_of(file)} imports {module}"


def test_modules_make_no_circle() -> None:
    assert circle_in({module: modules_read_by(file) for module, file in MODULES.items()}) == []


@pytest.mark.parametrize("room", sorted(LEVEL))
def test_folders_of_a_room_point_one_way(room: str) -> None:
    readers: dict[str, set[str]] = {}
    for module, file in MODULES.items():
        if room_of(file) == room:
            folder = folder_of(module)
            read = {folder_of(other) for other in modules_read_by(file)}
            readers.setdefault(folder, set()).update(read - {folder})
    assert circle_in(readers) == []


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_rooms_that_own_a_library(file: Path) -> None:
    for module in imports_of(file):
        rooms = ONLY_IN.get(module.partition(".")[0])
        assert rooms is None or room_of(file) in rooms, f"{name_of(file)} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_prints_stand_in_cli_only(file: Path) -> None:
    printed = [
        call.lineno
        for call in calls_of(file)
        if isinstance(call.func, ast.Name) and call.func.id == "print"
    ]
    assert room_of(file) == "cli" or not printed


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_no_broad_except_outside_the_handler(file: Path) -> None:
    handlers = (node for node in nodes_of(file) if isinstance(node, ast.ExceptHandler))
    assert file == HANDLER or not [node.lineno for node in handlers if is_broad(node)]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_files_are_short(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= LONGEST_FILE


def test_modules_differ_in_name() -> None:
    files = [file for file in FILES if file.name != "__init__.py" and file.parent != VERBS]
    counts = Counter(file.name for file in files)
    assert not [name_of(file) for file in files if counts[file.name] > 1]


def test_classes_differ_in_name() -> None:
    classes = [
        (node.name, name_of(file))
        for file in FILES
        for node in nodes_of(file)
        if isinstance(node, ast.ClassDef)
    ]
    counts = Counter(name for name, _ in classes)
    assert not [(name, file) for name, file in classes if counts[name] > 1]


def test_names_say_something() -> None:
    vague = Counter({name_of(file): sum(map(is_vague, nodes_of(file))) for file in FILES})
    lines = sum(file.read_text().count("\n") for file in FILES)
    per_1000_lines = 1000 * vague.total() / lines
    assert per_1000_lines < VAGUE_PER_1000_LINES, f"most are in {vague.most_common(10)}"


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_messages_leave_the_command_line_to_cli(file: Path) -> None:
    options = [
        f"line {line}: {option}"
        for line, text in messages_of(file)
        for option in OPTION.findall(text)
        if option not in OPTIONS_OF_PIP
    ]
    assert room_of(file) == "cli" or file.name in MAY_NAME_OPTIONS or not options


@pytest.mark.parametrize("module", ["rockpress", *MODULES])
def test_examples_in_docstrings(module: str) -> None:
    with speaking(python_phrase):  # as whoever reads the examples has it
        assert doctest.testmod(importlib.import_module(module)).failed == 0


def test_modules_have_one_name_per_file() -> None:
    names: dict[str, set[str]] = {}
    for module in list(sys.modules.values()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(ROOT) and ".venv" not in Path(file).parts:
            names.setdefault(file, set()).add(module.__name__)
    assert not {file: who for file, who in names.items() if len(who) > 1}
