"""The plan of the house: a folder imports only from floors below its own (CONTRIBUTING.md)."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "gancli"
FLOORS = {"cli": 5, "config": 4, "engine": 2, "explore": 2, "compare": 2, "models": 1, "metrics": 1, "networks": 0,
          "losses": 0, "data": 0, "monitor": 0, "runs": 0}
GROUND = {"errors", "gradients", "options", "registry", "seeds", "devices", "shards", "__version__"}


def imports(path: Path) -> set[str]:
    """Return the parts of the package that a file imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "gancli":
            parts = node.module.split(".")
            found |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("gancli.")}
    return found


def test_every_folder_has_its_floor():
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"} - {"conf"} == set(FLOORS)


def test_no_import_runs_up_or_along_the_house():
    seen, wrong = 0, []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).parts[0]
        if room not in FLOORS:
            continue
        for target in imports(path) - {room} - GROUND:
            seen += 1
            if FLOORS[target] >= FLOORS[room]:
                wrong.append(f"{path.relative_to(PACKAGE)} imports {target}")
    assert seen > 50 and not wrong, wrong


def test_ground_files_need_no_folder():
    for name in GROUND - {"__version__"}:
        assert imports(PACKAGE / f"{name}.py") <= GROUND, name
