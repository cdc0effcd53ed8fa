"""Rules of structure, each with its reason; a line knows its room."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import chiasm

SOURCE = Path(chiasm.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
ROOMS = (
    "encoders",
    "connectors",
    "fusion",
    "visibility",
    "experts",
    "compression",
    "heads",
    "objectives",
)
TREES = {path.relative_to(SOURCE): ast.parse(path.read_text()) for path in FILES}


def name_of(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


def called(node: ast.AST) -> str:
    """The last name of what is called, "" for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    match node.func:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
    return ""


def where(path: Path, node: ast.AST) -> str:
    return f"{path}:{getattr(node, 'lineno', 0)}"


def test_source_was_found():
    assert len(FILES) > 50
    assert {name_of(p).split("/")[0] for p in FILES} >= set(ROOMS)


@pytest.mark.parametrize(
    ("folder", "most"), [("", 400), ("systems", 60)], ids=["any file", "a system"]
)
def test_files_are_short(folder, most):
    """One idea a file; a system is a parent and its differences."""
    long = {
        name_of(path): lines
        for path in (SOURCE / folder).rglob("*.py")
        if (lines := len(path.read_text().splitlines())) > most
    }
    assert not long


def test_no_file_is_a_drawer():
    """A file is named for its mechanism; a drawer of helpers has none."""
    drawers = {"utils", "util", "helpers", "misc", "common", "tools"}
    assert not [name_of(p) for p in FILES if {p.stem, p.parent.name} & drawers]


def test_nothing_is_left_for_later():
    words = ("TO" + "DO", "FIX" + "ME", "X" + "XX", "HA" + "CK", "raise NotImplementedError")
    left = [
        f"{name_of(path)}:{number}"
        for path in FILES
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if any(word in line for word in words)
    ]
    assert not left


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_a_system_is_values_only():
    """A system computes nothing: no torch, no backbone, no functions, no conditions."""
    wrong: list[str] = []
    computing = (ast.FunctionDef, ast.ClassDef, ast.If, ast.For, ast.While, ast.Lambda)
    for path, tree in TREES.items():
        if path.parts[0] != "systems":
            continue
        roots = {module.split(".")[0] for module in imported(tree)} - {"chiasm", "dataclasses"}
        wrong += [f"{path} imports {root}" for root in roots]
        wrong += [where(path, node) for node in ast.walk(tree) if isinstance(node, computing)]
    assert not wrong


def is_minus_infinity(node: ast.AST) -> bool:
    if called(node) == "float" and isinstance(node, ast.Call) and node.args:
        return isinstance(node.args[0], ast.Constant) and node.args[0].value == "-inf"
    minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
    return minus and isinstance(node.operand, ast.Attribute) and node.operand.attr == "inf"


def test_attention_bias_is_built_only_in_visibility():
    """Two places that build masks disagree sooner or later; the slow reference is the exception."""
    builders = {"tril", "triu", "tril_", "triu_", "create_block_mask", "create_mask"}
    wrong = [
        where(path, node)
        for path, tree in TREES.items()
        if path.parts[0] != "visibility" and path.as_posix() != "layers/attention.py"
        for node in ast.walk(tree)
        if called(node) in builders or is_minus_infinity(node)
    ]
    assert not wrong


def test_attention_is_computed_in_one_place():
    """Every reader of keys and values passes through `attend`, which the slow reference checks."""
    kernels = {"scaled_dot_product_attention", "flex_attention", "MultiheadAttention"}
    wrong = [
        where(path, node)
        for path, tree in TREES.items()
        if path.as_posix() != "layers/attention.py"
        for node in ast.walk(tree)
        if called(node) in kernels
    ]
    assert not wrong


REQUESTS = {"compression/evidence.py"}
"""Not answers: a closed list of what a scorer may ask for, told apart by who can give it."""


def dataclass_names() -> set[str]:
    """Names of the values that a system is written in."""
    folders = {"spec", "systems", *ROOMS}
    return {
        node.name
        for path, tree in TREES.items()
        if path.parts[0] in folders and path.as_posix() not in REQUESTS
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and any("dataclass" in ast.dump(decorator) for decorator in node.decorator_list)
    }


FRONT_DOORS = {
    "assemble.py": "takes a system or bare answers and tells them apart once",
    "embedders/building.py": "takes an embedder or bare answers and tells them apart once",
    "embedders/folder.py": "a file may hold anything; refuses what is no answers",
    "cost/count.py": "takes a system or bare answers and tells them apart once",
    "hub/folder.py": "a file may hold anything; refuses what is no answers",
}
"""The values are told apart where they come in, never where they are used."""


def test_behaviour_is_not_read_from_types():
    """An `isinstance` on a spec is a branch for one member; its own method is the place."""
    specs = dataclass_names()
    assert {"System", "Answers", "Host", "InSequence", "MLP"} <= specs
    found: dict[str, list[str]] = {}
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if called(node) not in ("isinstance", "issubclass") or not isinstance(node, ast.Call):
                continue
            named = {n.id for n in ast.walk(node.args[1]) if isinstance(n, ast.Name)}
            found.setdefault(path.as_posix(), []).extend(sorted(named & specs))
    assert {path for path, names in found.items() if names} == set(FRONT_DOORS)


def test_behaviour_is_not_read_from_names():
    """A slug or a class name is for people; nothing branches on it."""
    wrong = []
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Compare):
                continue
            sides = [node.left, *node.comparators]
            texts = any(isinstance(s, ast.Constant) and isinstance(s.value, str) for s in sides)
            names = any(
                isinstance(s, ast.Attribute) and s.attr in ("slug", "__name__") for s in sides
            )
            if texts and names:
                wrong.append(where(path, node))
    assert not wrong


def test_every_module_says_what_it_is():
    silent = [str(path) for path, tree in TREES.items() if not ast.get_docstring(tree)]
    assert not silent


def test_every_answer_says_what_it_computes():
    """The public values of a room are its table of contents."""
    silent = [
        f"{where(path, node)} {node.name}"
        for path, tree in TREES.items()
        if path.parts[0] in ROOMS
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and node.decorator_list
        and not ast.get_docstring(node)
    ]
    assert not silent


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_names_its_members(room):
    """What a room's files define with `build`, `fill` or `permit` can be imported from the room,
    except its null answers, which only specs that need them import.
    """
    package = __import__(f"chiasm.{room}", fromlist=["__all__"])
    verbs = {"fill", "permit", "judge", "emit"}
    defined = {
        node.name
        for path, tree in TREES.items()
        if path.parts[0] == room and path.name != "none.py"
        for node in tree.body
        if isinstance(node, ast.ClassDef)
        and not node.name.startswith("_")
        and node.decorator_list
        and ("build" in methods(node) or verbs & methods(node))
    }
    assert defined <= set(package.__all__)
    assert not [name for name in package.__all__ if not hasattr(package, name)]


def methods(node: ast.ClassDef) -> set[str]:
    return {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
