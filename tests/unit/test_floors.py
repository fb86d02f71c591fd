"""The plan of the house (CONTRIBUTING.md): a room imports only from floors below its own, and no imports go in circles."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "gancli"
FLOORS = {
    9: "cli",
    8: "lab api",
    7: "plan show",
    6: "sweeps engine explore compare",
    5: "models metrics",
    4: "game features",
    3: "config networks losses data",
    2: "diagnosis runs ranks registry options devices blank waiting",
    1: "unloaded capacity monitor seeds gradients equations precision",
    0: "errors __version__",
}
FLOOR = {room: floor for floor, rooms in FLOORS.items() for room in rooms.split()}


def modules() -> dict[str, Path]:
    """Return every module of the package by its dotted name without the package's."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of the package that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "gancli":
            base = node.module.removeprefix("gancli").lstrip(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".lstrip(".")
                found.add(inner if inner in known else base or alias.name)
        elif isinstance(node, ast.Import):
            found |= {alias.name.removeprefix("gancli.") for alias in node.names if alias.name.startswith("gancli.")}
    return found


def room(module: str) -> str:
    return module.split(".")[0]


def test_every_room_has_its_floor():
    rooms = {path.stem for path in PACKAGE.iterdir() if path.is_dir() or path.suffix == ".py"}
    assert rooms - {"__pycache__", "__init__", "__main__", "conf"} == set(FLOOR) - {"__version__"}


def test_no_import_runs_up_or_along_the_house():
    known, seen, wrong = modules(), 0, []
    for module, path in known.items():
        if room(module) not in FLOOR:
            continue
        for target in {room(name) for name in imports(path, known)} - {room(module)}:
            seen += 1
            if FLOOR[target] >= FLOOR[room(module)]:
                wrong.append(f"{module} (floor {FLOOR[room(module)]}) imports {target} ({FLOOR[target]})")
    assert seen > 250 and not wrong, wrong


def test_no_imports_go_in_circles():
    known = modules()
    graph = {module: imports(path, known) & known.keys() - {module} for module, path in known.items() if module}
    assert len(graph) > 150
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None
