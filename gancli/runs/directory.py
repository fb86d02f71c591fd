"""Run directories and where a run came from (torch-free)."""

import os
import platform
import re
import secrets
import socket
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from gancli import __version__
from gancli.runs.files import CHECKPOINTS, CONFIG, STATUS, SWEEP

PACKAGES = ("torch", "torchvision", "hydra-core", "omegaconf", "numpy", "safetensors")
RECORDS = (CONFIG, STATUS, CHECKPOINTS)  # any of them marks a run


def run_name(model: str, dataset: str) -> str:
    """Return `<UTC yyyymmddThhmmssZ>-<6 hex>-<model>-<dataset>`, free of characters that Hydra's grammar reads."""
    time = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{time}-{secrets.token_hex(3)}-{_word(model)}-{_word(dataset)}"


def is_run(path: Path) -> bool:
    """Whether a directory holds a run's record; a sweep's own status.json is none."""
    return any(os.path.exists(path / name) for name in RECORDS) and not os.path.exists(path / SWEEP)


def provenance(device: str, threads: int, seed: int, fingerprint: str, argv: Sequence[str] | None = None) -> dict[str, Any]:
    """Return what provenance.json holds: code, versions, machine, command, seed and data.

    Args:
        device: as the run names it, e.g. "cuda:0 (NVIDIA H200)".
        threads: that the CPU computes with; how many decides the order of sums, how they wait for each other does not.
        fingerprint: checksum of the decoded data set.
        argv: the command line; this process's own by default.
    """
    return {"git": git_state(), "versions": versions(), "device": device, "platform": platform.platform(),
            "hostname": socket.gethostname(), "threads": threads,
            "omp_wait_policy": os.environ.get("OMP_WAIT_POLICY"),
            "cuda_visible_devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
            "argv": list(sys.argv if argv is None else argv), "seed": seed, "dataset_fingerprint": fingerprint}


def versions() -> dict[str, str | None]:
    """Return the versions of Python, gancli and the packages that decide results; None for one that is absent."""
    found: dict[str, str | None] = {"python": platform.python_version(), "gancli": __version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return found


def git_state() -> dict[str, Any] | None:
    """Return the commit of the checkout that this code runs from and whether it was changed; None outside of one."""
    if _git("ls-files", "--error-unmatch", "__init__.py") is None:  # installed inside somebody else's checkout
        return None
    commit, changes = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    return None if commit is None else {"commit": commit.strip(), "dirty": bool(changes and changes.strip())}


def _git(*arguments: str) -> str | None:
    package = Path(__file__).resolve().parent.parent
    try:
        done = subprocess.run(["git", "-C", str(package), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _word(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.]+", "_", name).strip("._") or "unnamed"
