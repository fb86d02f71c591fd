"""Every module can be imported alone: none works only because another one was imported before it.

All are imported one after the other in a fork of one process, in which third parties' packages are loaded already (torch
alone takes seconds), with ours forgotten before each.  One that fails there is tried again as the first of a new fork.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_floors import PACKAGE, modules

FORKS = """
import importlib, os, sys, traceback

for name in sys.stdin.readline().split():
    importlib.import_module(name)
names = sys.stdin.read().split()
while names:
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            for name in names:
                for known in [known for known in sys.modules if known.partition(".")[0] == "gancli"]:
                    del sys.modules[known]
                importlib.import_module(name)
                os.write(writer, b".")
        except BaseException:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(0)
    os.close(writer)
    os.wait()
    imported = len(os.read(reader, len(names)))
    os.close(reader)
    if not imported:
        print(names[0], flush=True)
    names = names[imported or 1:]
"""
OF_EXTRAS = {"monitor.mlflow_logger": "mlflow", "monitor.wandb_logger": "wandb"}  # loaded by their entry points alone
LOADED = "torch torch.distributed torch.func torchvision numpy PIL.Image omegaconf hydra typer rich matplotlib.figure"


def alone(names: list[str], root: Path, loaded: str = "") -> tuple[list[str], str]:
    """Return the modules under a folder that cannot be imported alone, and what they said."""
    done = subprocess.run([sys.executable, "-c", FORKS], input=f"{loaded}\n{' '.join(names)}", cwd=root,
                          capture_output=True, text=True, check=True)
    return done.stdout.split(), done.stderr


@pytest.mark.recipe  # ten seconds
def test_every_module_is_importable_alone():
    left_out = {"__main__"}  # runs the command
    left_out |= {module for module, package in OF_EXTRAS.items() if find_spec(package) is None}
    names = [f"gancli.{name}".rstrip(".") for name in modules() if name not in left_out]
    failed, why = alone(names, PACKAGE.parent, LOADED)
    assert len(names) > 200 and not failed, why


def test_a_module_that_leans_on_another_is_found(tmp_path):
    package = tmp_path / "gancli"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "first.py").write_text("import gancli\ngancli.ready = True\n")
    (package / "second.py").write_text("import gancli\nassert gancli.ready\n")
    failed, why = alone(["gancli.first", "gancli.second"], tmp_path)
    assert failed == ["gancli.second"] and "ready" in why
