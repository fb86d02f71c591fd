"""Runs that are killed, told to stop, cut off from their terminal or disk, or started twice end as if nothing had happened.

Every sitting is a process forked from this warm one.  The whole folder belongs to `-m faults`; GANCLI_FAULTS says how many
faults each test makes.
"""

import multiprocessing
import os
import random
import select
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from planning import SMALL_NETWORKS, _composed, plan
from typer.testing import CliRunner

from gancli.cli import main
from gancli.engine.training import train
from gancli.errors import UserError
from gancli.plan.run import plan_run
from gancli.runs.checkpoint import CheckpointFolder, read
from gancli.runs.header import verify
from gancli.runs.status import read_status

pytestmark = [pytest.mark.faults, pytest.mark.timeout(0)]
FAULTS = int(os.environ.get("GANCLI_FAULTS", 25))
FEW = max(1, FAULTS // 5)
COMMON = ("dataset.size=16", "dataset.limit=64", "trainer.batch_size=4", "device=cpu", "evaluation.kimg=null",
          "trainer.precision=fp32", "trainer.kimg=0.08", "trainer.checkpoint_kimg=0.008", "trainer.record_kimg=0.008",
          "trainer.sample_kimg=0.04")
MODELS = {
    "gan": ("model=gan", *SMALL_NETWORKS["gan"]),
    "dcgan": ("model=dcgan", *SMALL_NETWORKS["dcgan"]),
    "bigan": ("model=bigan", *SMALL_NETWORKS["bigan"]),
    "progan (phases)": ("model=progan", *SMALL_NETWORKS["progan"], "model.stable_kimg=0.012", "model.fade_kimg=0.012"),
    "dcgan with ada": ("model=dcgan", *SMALL_NETWORKS["dcgan"], "augment=ada", "augment.p=0.3", "augment.kimg=0.2",
                       "augment.interval=1"),
    "gan on two ranks": ("model=gan", *SMALL_NETWORKS["gan"], "devices=2"),
}
STOPPED, REFUSED, FAILED = 3, 1, 99
PATIENCE_S = 300
LIVES: dict[int, int] = {}  # child -> a pipe that is open as long as it, or a rank that it started, lives
TRIED, SURVIVED, EQUAL = Counter(), Counter(), Counter()


@dataclass
class Whole:
    """A run that nothing interrupted."""

    name: str
    settings: tuple[str, ...]
    folder: Path
    seconds: float


def start(folder: Path, settings: tuple[str, ...], prepare: Callable[[], object] = lambda: None) -> int:
    """Start or continue a run in a process of its own; return its number."""
    def work() -> int:
        fork = multiprocessing.get_context("fork")
        multiprocessing.get_context = lambda method=None: fork  # ranks start at once, from this warm process
        prepare()
        return {"finished": 0, "stopped": STOPPED}[train(plan(folder, *settings)).status]

    return forked(work)


def forked(work: Callable[[], int]) -> int:
    """Call `work` in a process forked from this one, which ends with what it returns."""
    lives, held = os.pipe()
    child = os.fork()
    if child:
        os.close(held)
        LIVES[child] = lives
        return child
    code = FAILED
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        code = work()
    except KeyboardInterrupt:
        code = STOPPED
    except UserError:
        code = REFUSED
    except Exception as error:  # as the command line takes them
        code = (STOPPED if main.interrupted(error) else
                REFUSED if isinstance(error, OSError) and error.errno in main.OUTSIDE else FAILED)
    finally:
        os._exit(code)


def end(child: int) -> int:
    """Return how a process ended once its ranks have, too; a hang is killed and counts as a failure."""
    deadline, code, lives = time.monotonic() + PATIENCE_S, None, LIVES.pop(child)
    while time.monotonic() < deadline:
        if code is None and (status := os.waitpid(child, os.WNOHANG))[0]:
            code = os.waitstatus_to_exitcode(status[1])
        if code is not None and select.select([lives], [], [], 0)[0]:  # its end: nobody writes there
            os.close(lives)
            return code
        time.sleep(0.01)
    if code is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return FAILED


def assert_equal(folder: Path, whole: Path) -> None:
    mine, theirs = (read(CheckpointFolder(run).latest()).tensors for run in (folder, whole))
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert read_status(folder).status == "finished"


def ended(folder: Path) -> bool:
    """Whether a run has recorded its end, whatever became of its process."""
    status = read_status(folder)
    return status is not None and status.status == "finished"


def assert_whole_files(folder: Path) -> None:
    """Assert that every checkpoint under its name can be read, whatever ended its writer."""
    for path in CheckpointFolder(folder).list():
        verify(path)


def killed_in_write(number: int, after: bool) -> Callable[[], None]:
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


@pytest.fixture(scope="module", params=MODELS)
def whole(request, tmp_path_factory) -> Whole:
    """A model's run that nothing interrupted."""
    settings, folder = (*MODELS[request.param], *COMMON), tmp_path_factory.mktemp("whole") / "run"
    plan(folder, *settings)  # in this process, so that every sitting finds all of it composed and imported
    begun = time.monotonic()
    assert end(start(folder, settings)) == 0
    return Whole(request.param, settings, folder, time.monotonic() - begun)


@pytest.fixture(scope="module", autouse=True)
def summary(request):
    """Tell at the end how many faults there were of each kind."""
    yield
    write = request.config.pluginmanager.getplugin("terminalreporter").write_line
    write("")
    for kind in TRIED:
        write(f"{kind}: {TRIED[kind]} tried, {SURVIVED[kind]} survived, {EQUAL[kind]} in runs with equal weights at the end")
    write(f"faults in all: {TRIED.total()} tried, {SURVIVED.total()} survived, {EQUAL.total()} equal")


def tell(capsys, name: str, fault: str, tried: int, equal: int | None = None) -> None:
    """Count and print faults that were survived; `equal` of them in runs whose weights were compared at their end."""
    equal = tried if equal is None else equal
    TRIED[fault] += tried
    SURVIVED[fault] += tried
    EQUAL[fault] += equal
    compared = f"{equal} in runs with equal weights at the end" if equal else "nothing left to compare"
    with capsys.disabled():
        print(f"\n{name}, {fault}: {tried} tried, {tried} survived, {compared}", flush=True)


def finish(folder: Path, whole: Whole) -> None:
    """Let a run go on to its end and compare it."""
    if not ended(folder):
        assert end(start(folder, whole.settings)) == 0
    assert_equal(folder, whole.folder)


def test_killed_within_every_write(whole, tmp_path, capsys):
    moments, tried, folder = random.Random(0), 0, tmp_path / "killed"
    died = REFUSED if "devices=2" in whole.settings else -signal.SIGKILL  # of ranks the first dies, and the parent says so
    while tried < FAULTS:
        code = end(start(folder, whole.settings, killed_in_write(moments.randint(1, 30), moments.random() < 0.5)))
        assert code in (0, died), code
        tried += code != 0
        assert_whole_files(folder)
        if code == 0 or ended(folder):
            assert_equal(folder, whole.folder)
            shutil.rmtree(folder)
    finish(folder, whole)
    tell(capsys, whole.name, "killed within writes", tried)


def test_killed_at_any_moment(whole, tmp_path, capsys):
    moments, tried, folder = random.Random(2), 0, tmp_path / "killed"
    while tried < FAULTS:
        child = start(folder, whole.settings)
        time.sleep(moments.uniform(0.05, whole.seconds))
        os.kill(child, signal.SIGKILL)
        code = end(child)
        assert code in (0, -signal.SIGKILL), code
        tried += code != 0
        assert_whole_files(folder)
        if code == 0 or ended(folder):  # ranks may have ended the run before the process that started them
            assert_equal(folder, whole.folder)
            shutil.rmtree(folder)
    finish(folder, whole)
    tell(capsys, whole.name, "killed at random moments", tried)


def test_told_to_stop_at_any_moment(whole, tmp_path, capsys):
    moments, tried, folder = random.Random(1), 0, tmp_path / "stopped"
    for attempt in range(FAULTS):
        number = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)[attempt % 3]
        child = start(folder, whole.settings)
        time.sleep(moments.uniform(0.1, whole.seconds))
        os.kill(child, number)
        code = end(child)
        assert code in (0, STOPPED, -number), code
        tried += code != 0
        assert_whole_files(folder)
        if code == 0 or ended(folder):  # told after its end
            assert_equal(folder, whole.folder)
            shutil.rmtree(folder)
    finish(folder, whole)
    tell(capsys, whole.name, "told to stop", tried)


def test_a_terminal_that_goes_ends_nothing(whole, tmp_path, capsys):
    def closed() -> None:
        reader, writer = os.pipe()
        os.dup2(writer, 2)
        os.close(reader)

    def full() -> None:
        os.dup2(os.open("/dev/full", os.O_WRONLY), 2)

    for number, lose in enumerate((closed, lambda: os.close(2), full)):
        assert end(start(tmp_path / str(number), whole.settings, lose)) == 0
        assert_equal(tmp_path / str(number), whole.folder)
    tell(capsys, whole.name, "terminals closed or full", 3)


def test_started_twice(whole, tmp_path, capsys):
    for number in range(FEW):
        folder = tmp_path / f"twice-{number}"
        codes = [end(child) for child in [start(folder, whole.settings) for _ in range(2)]]
        assert sorted(codes) in ([0, REFUSED], [0, 0]), codes  # both where one began when the other had ended
        assert_equal(folder, whole.folder)
    tell(capsys, whole.name, "started twice", FEW)


def test_a_folder_that_is_removed_ends_the_run_and_hangs_nothing(whole, tmp_path, capsys):
    moments = random.Random(3)
    for number in range(FEW):
        folder = tmp_path / f"removed-{number}"
        child = start(folder, (*whole.settings, "trainer.kimg=40"))
        time.sleep(whole.seconds * moments.uniform(0.2, 1))
        gone = tmp_path / f"gone-{number}"
        if folder.exists():
            folder.rename(gone)  # at once
            shutil.rmtree(gone, ignore_errors=True)
        os.kill(child, signal.SIGTERM)
        assert end(child) in (0, REFUSED, STOPPED, -signal.SIGTERM)
        assert not gone.exists() or not folder.exists()  # it is not made again
    tell(capsys, whole.name, "folders removed", FEW, equal=0)


@pytest.fixture
def small_disk(whole, tmp_path):
    """A file system that holds twice a run's folder; returns it and the folder's bytes."""
    size = sum(path.stat().st_size for path in whole.folder.rglob("*"))
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={2 * size + (1 << 20)}", "none", disk]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no small file system can be mounted here: {done.stderr.strip()}")
    yield disk, size
    subprocess.run(["umount", "-l", disk], check=True)


def test_a_full_disk_loses_nothing(whole, small_disk, tmp_path, capsys):
    disk, size = small_disk
    moments, tried = random.Random(4), 0
    for number in range(FEW):
        folder, ballast = disk / f"run-{number}", disk / "ballast"
        free = shutil.disk_usage(disk).free
        with open(ballast, "wb") as file:
            file.write(bytes(max(0, free - int(size * moments.uniform(0.01, 0.9)))))
        code = end(start(folder, whole.settings))
        assert code in (0, REFUSED), code
        tried += code != 0
        assert_whole_files(folder)
        ballast.unlink()
        finish(folder, whole)
        shutil.rmtree(folder)
    tell(capsys, whole.name, "disks full", tried)


def swept(folder: Path, *words: str) -> int:
    """Start or continue a sweep in a process of its own."""

    def work() -> int:
        os.chdir(folder.parent)
        os.dup2(os.open(folder.parent / "sweep.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND), 1)
        os.setsid()
        return CliRunner().invoke(main.app, ["train", *words], prog_name="gan").exit_code

    return forked(work)


LAUNCHERS = {"basic": ("hydra/launcher=basic",), "joblib": ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2"),
             "submitit_local": ("hydra/launcher=submitit_local",)}


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_sweep_whose_parent_is_killed_goes_on(launcher, tmp_path, capsys):
    settings = (*MODELS["gan"], *COMMON, "seed=0,1,2", *LAUNCHERS[launcher])
    kills = FEW if launcher == "basic" else max(1, FEW // 2)
    begun = time.monotonic()
    assert end(swept(tmp_path / "whole", "-m", f"hydra.sweep.dir={tmp_path}/whole", *settings)) == 0
    seconds, moments, tried = time.monotonic() - begun, random.Random(5), 0
    folder = tmp_path / "killed-0"
    while tried < kills:
        begin = (f"resume={folder}",) if (folder / "sweep.json").exists() else ("-m", f"hydra.sweep.dir={folder}", *settings)
        child = swept(folder, *begin)
        time.sleep(seconds * moments.uniform(0.2, 1))
        os.kill(child, signal.SIGKILL)
        code = end(child)
        assert code in (0, -signal.SIGKILL), code
        tried += code != 0
        for run in folder.glob("[0-9]*"):
            assert_whole_files(run)
        if code == 0:  # it had ended, or its orphans had ended all that was left
            for job in ("0", "1", "2"):
                assert_equal(folder / job, tmp_path / "whole" / job)
            shutil.rmtree(folder)
    for _ in range(10):
        begin = (f"resume={folder}",) if (folder / "sweep.json").exists() else ("-m", f"hydra.sweep.dir={folder}", *settings)
        if end(swept(folder, *begin)) == 0:
            break
        time.sleep(1)  # what a killed parent has started may still be saving, which is refused company
    for job in ("0", "1", "2"):
        assert_equal(folder / job, tmp_path / "whole" / job)
    tell(capsys, f"three runs of gan by {launcher}", "sweep's parents killed", tried)


STARTS = 64


def test_as_many_folders_as_starts(tmp_path, capsys):
    settings = (*MODELS["gan"], *COMMON, "trainer.kimg=0.008")
    plan(tmp_path / "none", *settings)
    gate, opened = os.pipe()

    def work() -> int:
        os.chdir(tmp_path)
        os.close(opened)
        os.read(gate, 1)  # until all are there
        cfg = deepcopy(_composed(settings))
        (tmp_path / f"began-{os.getpid()}").write_text(str(time.time()))
        return {"finished": 0}[train(plan_run(cfg, list(settings))).status]

    children = [forked(work) for _ in range(STARTS)]
    time.sleep(1)
    os.close(opened)
    os.close(gate)
    assert [end(child) for child in children] == [0] * STARTS
    began = sorted(float(path.read_text()) for path in tmp_path.glob("began-*"))
    runs = list((tmp_path / "outputs/train").iterdir())
    assert len(runs) == STARTS and {read_status(run).status for run in runs} == {"finished"}
    with capsys.disabled():
        print(f"\n{STARTS} starts within {began[-1] - began[0]:.2f} s: {len(runs)} folders")
