"""Runs that are killed, told to stop, cut off from their terminal or started twice end as if nothing had happened.

Every sitting is a process forked from this warm one.  The whole folder belongs to `-m faults`; GANCLI_FAULTS says how many
faults each test makes.
"""

import os
import random
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from planning import SMALL_NETWORKS, plan

from gancli.engine.training import train
from gancli.errors import UserError
from gancli.runs.checkpoint import CheckpointFolder, read
from gancli.runs.header import verify
from gancli.runs.status import read_status

pytestmark = pytest.mark.faults
FAULTS = int(os.environ.get("GANCLI_FAULTS", 25))
COMMON = ("dataset.size=16", "trainer.batch_size=4", "device=cpu", "evaluation.kimg=null", "trainer.precision=fp32",
          "trainer.kimg=0.16", "trainer.checkpoint_kimg=0.008", "trainer.record_kimg=0.008", "trainer.sample_kimg=0.08")
MODELS = {"gan": ("model=gan", *SMALL_NETWORKS["gan"]), "dcgan": ("model=dcgan", *SMALL_NETWORKS["dcgan"]),
          "bigan": ("model=bigan", *SMALL_NETWORKS["bigan"])}
STOPPED, REFUSED, FAILED = 3, 1, 99
PATIENCE_S = 120


def start(folder: Path, settings: tuple[str, ...], prepare=lambda: None) -> int:
    """Start or continue a run in a process of its own; return its number."""
    child = os.fork()
    if child:
        return child
    code = FAILED
    try:
        quiet = os.open(os.devnull, os.O_WRONLY)
        os.dup2(quiet, 2)
        prepare()
        code = {"finished": 0, "stopped": STOPPED}[train(plan(folder, *settings)).status]
    except KeyboardInterrupt:
        code = STOPPED
    except (UserError, OSError):
        code = REFUSED
    finally:
        os._exit(code)


def end(child: int) -> int:
    """Return how a process ended; a hang is killed and counts as a failure."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return FAILED


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return read(CheckpointFolder(folder).latest()).tensors


def assert_equal(folder: Path, whole: Path) -> None:
    mine, theirs = weights(folder), weights(whole)
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert read_status(folder).status == "finished"


def killed_in_write(number: int, after: bool):
    """Return what makes a process kill itself at its `number`th sync or rename of a file, before or after it."""

    def prepare() -> None:
        left = [number]

        def deadly(call):
            def called(*arguments, **named):
                left[0] -= 1
                if left[0] == 0 and not after:
                    os.kill(os.getpid(), signal.SIGKILL)
                result = call(*arguments, **named)
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return result
            return called

        os.fsync, os.replace = deadly(os.fsync), deadly(os.replace)

    return prepare


@pytest.fixture(params=MODELS)
def model(request, tmp_path):
    """A model's settings and the folder of its whole run."""
    settings = (*MODELS[request.param], *COMMON)
    assert end(start(tmp_path / "whole", settings)) == 0
    return request.param, settings


def tell(capsys, name: str, fault: str, tried: int, survived: int) -> None:
    with capsys.disabled():
        print(f"\n{name}, {fault}: {tried} tried, {survived} survived, weights equal")


def test_killed_within_every_write(model, tmp_path, capsys):
    name, settings = model
    moments, tried, survived, folder = random.Random(0), 0, 0, tmp_path / "killed"
    while tried < FAULTS:
        code = end(start(folder, settings, killed_in_write(moments.randint(1, 40), moments.random() < 0.5)))
        assert code in (0, -signal.SIGKILL), code
        tried += code != 0
        for path in CheckpointFolder(folder).list():
            verify(path)
        survived += code != 0
        if code == 0:
            assert_equal(folder, tmp_path / "whole")
            shutil.rmtree(folder)
    assert end(start(folder, settings)) == 0
    assert_equal(folder, tmp_path / "whole")
    tell(capsys, name, "killed within writes", tried, survived)


def test_told_to_stop_at_any_moment(model, tmp_path, capsys):
    name, settings = model
    moments, tried, folder = random.Random(1), 0, tmp_path / "stopped"
    for attempt in range(FAULTS):
        number = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[attempt % 3]
        child = start(folder, settings)
        time.sleep(moments.uniform(0.3, 1.5))
        os.kill(child, number)
        code = end(child)
        assert code in (0, STOPPED, -number), code
        tried += code != 0
        if code == 0:
            assert_equal(folder, tmp_path / "whole")
            shutil.rmtree(folder)
    if not folder.exists() or read_status(folder) is None or read_status(folder).status != "finished":
        assert end(start(folder, settings)) == 0
    assert_equal(folder, tmp_path / "whole")
    tell(capsys, name, "told to stop", tried, tried)


def test_a_terminal_that_goes_ends_nothing(model, tmp_path, capsys):
    name, settings = model

    def closed() -> None:
        reader, writer = os.pipe()
        os.dup2(writer, 2)
        os.close(reader)

    def full() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)

    for number, lose in enumerate((closed, lambda: os.close(2), full)):
        folder = tmp_path / str(number)
        assert end(start(folder, settings, lose)) == 0
        assert_equal(folder, tmp_path / "whole")
    tell(capsys, name, "terminals lost", 3, 3)


def test_started_twice(model, tmp_path, capsys):
    name, settings = model
    for number in range(max(1, FAULTS // 5)):
        folder = tmp_path / f"twice-{number}"
        codes = [end(child) for child in [start(folder, settings) for _ in range(2)]]
        assert sorted(codes) in ([0, REFUSED], [0, 0]), codes  # both where one began when the other had ended
        assert_equal(folder, tmp_path / "whole")
    tell(capsys, name, "started twice", max(1, FAULTS // 5), max(1, FAULTS // 5))


def test_a_folder_that_is_removed_ends_the_run_and_hangs_nothing(model, tmp_path, capsys):
    name, settings = model
    for number in range(max(1, FAULTS // 5)):
        folder = tmp_path / f"removed-{number}"
        child = start(folder, (*settings, "trainer.kimg=40"))
        time.sleep(1)
        shutil.rmtree(folder, ignore_errors=True)
        os.kill(child, signal.SIGTERM)
        assert end(child) in (0, REFUSED, STOPPED, -signal.SIGTERM)
    tell(capsys, name, "folders removed", max(1, FAULTS // 5), max(1, FAULTS // 5))
