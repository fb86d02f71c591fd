"""The YAML tree that people choose from: where it lies, its groups, their options and one-line descriptions.

Free of torch and of Hydra, since help and TAB completion read it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import gancli


def conf_dir() -> Path:
    """Return the folder of the package's own configuration: the copy in the wheel, else conf/ of the source tree."""
    package = Path(gancli.__file__).resolve().parent
    inside = package / "conf"
    return inside if inside.is_dir() else package.parent / "conf"


def conf_dirs(config_dir: Path | None = None) -> list[Path]:
    """Return the folders that are searched, in order; the package's own comes first and wins."""
    return [conf_dir()] if config_dir is None else [conf_dir(), Path(config_dir)]


def groups(config_name: str) -> list[str]:
    """Return the groups that conf/<config_name>.yaml lets people choose from (none if there is no such file).

    A group whose option follows from other choices (${model}-${dataset}) is none of them.
    """
    names = []
    for entry in _defaults(conf_dir() / f"{config_name}.yaml"):
        match = re.match(r"\s*-\s+(?:optional\s+)?([\w/]+):(?!.*\$\{)", entry)
        if match:
            names.append(match[1])
    return names


def options(group: str, config_dir: Path | None = None) -> dict[str, str]:
    """Return the names of a group's options with their descriptions, sorted by name."""
    found: dict[str, str] = {}
    for folder in conf_dirs(config_dir):
        for path in (folder / group).glob("*.yaml"):
            found.setdefault(path.stem, description(path))
    return dict(sorted(found.items()))


@dataclass(frozen=True)
class OwnKey:
    """A key that a configuration file itself sets."""

    name: str  # dotted
    default: str  # as the file has it; empty where nothing stands
    comment: str


def own_keys(config_name: str) -> list[OwnKey]:
    """Return the keys of conf/<config_name>.yaml in its order, with what its comments say; neither groups nor Hydra's own."""
    found: list[OwnKey] = []
    above = ""
    path = conf_dir() / f"{config_name}.yaml"
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        match = re.fullmatch(r"(  )?([a-z]\w*):(?:\s+([^#\s].*?))??(?:\s+# (.*))?", line)
        if match is None:
            above = "" if line[:1] not in (" ", "-", "#", "") else above
            continue
        inner, name, default, comment = match.groups()
        above = above if inner else name
        if above in ("defaults", "hydra") or inner and above == "":
            continue
        if inner:
            name = f"{above}.{name}"
            found = [key for key in found if key.name != above]
        found.append(OwnKey(name, default or "", comment or ""))
    return found


def description(path: Path) -> str:
    """Return the first comment line of a YAML file, without its mark; empty if the file starts otherwise."""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#") and not line.startswith("# @"):
            return line.lstrip("# ").strip()
        if line.strip() and not line.startswith("#"):
            break
    return ""


def _defaults(path: Path) -> list[str]:
    """Return the lines of a file's defaults list."""
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    if "defaults:" not in lines:
        return []
    body = lines[lines.index("defaults:") + 1:]
    end = next((i for i, line in enumerate(body) if line and not line.startswith((" ", "-", "#"))), len(body))
    return body[:end]
