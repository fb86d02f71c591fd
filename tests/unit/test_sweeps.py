"""Sweeps without training: which jobs are the same, which are open, who gets which GPU, what Optuna is told."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import MissingConfigException
from omegaconf import OmegaConf

from gancli.cli import bridge
from gancli.cli.sweep_report import exit_code, rank
from gancli.cli.train import task
from gancli.config.compose import check_sweep
from gancli.config.explain import explain
from gancli.config.resume import Finished
from gancli.errors import UsageError, UserError
from gancli.runs.find import find_run, list_runs
from gancli.runs.locks import try_lock
from gancli.runs.status import Status, read_status, write_status
from gancli.runs.sweeps import SweepRecord, find_sweep, read_sweep, write_sweep
from gancli.sweeps import launchers, machine
from gancli.sweeps.jobs import _run_in_sweep
from gancli.sweeps.launchers import at_once, cost, launcher_overrides
from gancli.sweeps.launching import ResumingLauncher, Session
from gancli.sweeps.matching import QUIET_S, changeable, differences, standing
from gancli.sweeps.stopping import StopFile
from gancli.sweeps.studies import objective, without_value
from gancli.sweeps.sweeping import Sweep, continued_sweep, read_jobs

FINISHED = Status.begin(["seed=0"]).end("finished")


@pytest.fixture
def sweep(tmp_path):
    """A sweep of four: one finished, one killed, one on another host, one never started."""
    folder = tmp_path / "outputs/sweep/20261122T000000Z-abcdef"
    jobs = {str(seed): [f"seed={seed}", "loss=hinge"] for seed in range(4)}
    for name, status in (("0", replace(FINISHED, objective=0.5, overrides=jobs["0"])), ("1", killed()), ("2", elsewhere())):
        (folder / name).mkdir(parents=True)
        write_status(folder / name, status)
    command = ["seed=0,1,2,3", "loss=hinge", "hydra/launcher=joblib", "hydra.launcher.n_jobs=3"]
    write_sweep(folder, SweepRecord("train", command, jobs=jobs))
    return folder


def killed():
    return replace(Status.begin([]), pid=2**22 + 1)  # above the kernel's largest


def elsewhere():
    return replace(Status.begin([]), host="another", pid=1)


def test_how_a_job_stands(sweep):
    found = [standing(sweep / name, [f"seed={name}", "loss=hinge"], sweep) for name in "0123"]
    assert found == ["finished", "open", "running", "open"]
    (sweep / "3").mkdir()
    write_status(sweep / "3", Status.begin([]))
    assert standing(sweep / "3", [], sweep) == "running", "this very process"
    for status in ("failed", "stopped"):
        write_status(sweep / "3", Status.begin([]).end(status))
        assert standing(sweep / "3", [], sweep) == "open"


def test_a_quiet_run_of_another_host_is_dead(sweep):
    past = (sweep / "sweep.json").stat().st_mtime - QUIET_S - 1
    for path in (sweep / "2", *(sweep / "2").iterdir()):
        os.utime(path, (past, past))
    assert standing(sweep / "2", [], sweep) == "open"


def test_a_finished_job_asked_for_another_length_is_open(sweep):
    assert standing(sweep / "0", ["seed=0", "trainer.kimg=9"], sweep) == "open"
    assert standing(sweep / "0", ["seed=0", "device=cuda"], sweep) == "finished"


def test_jobs_are_known_by_their_settings():
    record = SweepRecord("train", [], jobs={"0": ["seed=0", "loss=hinge"], "7": ["trainer.kimg=1", "seed=1"], "a": ["seed=5"]})
    assert record.folder_of(["loss=hinge", "seed=0"]) == "0"
    assert record.folder_of(["seed=1", "trainer.kimg=2"]) is None
    assert record.folder_of(["seed=1", "trainer.kimg=2"], frozenset({"trainer.kimg"})) == "7"
    assert record.free_number() == 8 and SweepRecord("train", []).free_number() == 0


def test_commands_that_are_one_sweep():
    stored = ["seed=0,1", "loss=hinge", "trainer.kimg=1,2", "hydra/launcher=joblib", "device=cpu"]
    swept = ["seed", "trainer.kimg"]
    same = ["loss=hinge", "seed=0,1", "trainer.kimg=1,2", "hydra.launcher.n_jobs=2", "device=auto", "trainer.keep=1"]
    assert differences(stored, same, swept) == []
    assert changeable(same, swept) == {"device", "trainer.keep"}
    assert differences(stored, ["seed=0,1,2", "trainer.kimg=1,2", "model=gan"], swept) == [
        "loss=hinge in the sweep and not given here", "model=gan is not part of the sweep",
        "seed=0,1 in the sweep and seed=0,1,2 here"]
    assert differences(stored, [*same[:2], "trainer.kimg=3", *same[3:]], ["seed"]) == [], "one length for all may change"
    assert differences(["hydra/sweeper=optuna"], ["hydra.sweeper.n_trials=9"], []) == [
        "hydra/sweeper=optuna in the sweep and not given here"]


class Inner:
    """Keeps what it is told to launch; every job finishes with its number as the objective."""

    def __init__(self, folder):
        self.folder, self.launched = folder, []

    def launch(self, job_overrides, initial_job_idx):
        returns = []
        for given in job_overrides:
            name = given[-1].removeprefix("hydra.sweep.subdir='").removesuffix("'")
            self.launched.append(name)
            (self.folder / name).mkdir(exist_ok=True)
            write_status(self.folder / name, replace(Status.begin(given[:-1]).end("finished"), objective=float(name)))
            returns.append(JobReturn(status=JobStatus.COMPLETED))
        return returns


def launching(folder, launcher="slurm", stopped=False):
    from omegaconf import OmegaConf

    config = OmegaConf.create({"hydra": {"sweep": {"subdir": "${hydra.job.num}"}}})
    session = Session(folder, read_sweep(folder), launcher, 2, lambda: stopped)
    inner = Inner(folder)
    return ResumingLauncher(inner, session, None, config), inner, session


def test_only_open_jobs_are_launched(sweep):
    launcher, inner, session = launching(sweep, "joblib")
    returned = launcher.launch([[f"seed={seed}", "loss=hinge"] for seed in (0, 1, 2, 3, 4, 4)], 0)
    assert inner.launched == ["1", "3", "4"], "4 is new, and asked for twice"
    assert [each.return_value for each in returned] == [0.5, 1.0, None, 3.0, 4.0, 4.0]
    assert session.kept == {"0": "finished", "2": "running"} and read_sweep(sweep).jobs["4"] == ["seed=4", "loss=hinge"]


def test_nothing_starts_once_the_sweep_is_to_stop(sweep):
    launcher, inner, _ = launching(sweep, stopped=True)
    with pytest.raises(KeyboardInterrupt):
        launcher.launch([["seed=9"]], 0)
    assert not inner.launched and "9" not in read_sweep(sweep).jobs


@pytest.mark.timeout(20)
@pytest.mark.parametrize("ignored", [(signal.SIGINT,), (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)])
def test_a_sweep_ends_where_signals_are_ignored(ignored, tmp_path):
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}  # as a script does in the background
    try:
        with StopFile(tmp_path) as stop:
            assert not stop.asked
        assert {number: signal.getsignal(number) for number in ignored} == dict.fromkeys(ignored, signal.SIG_IGN)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_sweeps_by_name(sweep, monkeypatch):
    monkeypatch.chdir(sweep.parents[2])
    for text in (str(sweep), sweep.name, "abcdef"):
        assert find_sweep(text, "outputs").name == sweep.name
    assert find_sweep("fed", "outputs") is None
    found = continued_sweep("train", ["resume=abcdef", "hydra/launcher=basic", "trainer.kimg=3"])
    assert found == ["seed=0,1,2,3", "loss=hinge", "hydra/launcher=basic", "trainer.kimg=3", f"hydra.sweep.dir={sweep}"]
    assert continued_sweep("train", ["resume=elsewhere"]) is None and continued_sweep("train", ["seed=1"]) is None
    with pytest.raises(UserError, match="of gan sample"):
        continued_sweep("sample", ["resume=abcdef"])
    second = sweep.with_name("20261122T000001Z-abcdef")
    second.mkdir()
    write_sweep(second, SweepRecord("train", []))
    with pytest.raises(UserError, match="names 2 sweeps"):
        find_sweep("abcdef", "outputs")


def test_jobs_lie_at_any_depth(sweep, monkeypatch):
    monkeypatch.chdir(sweep.parents[2])
    record = read_sweep(sweep)
    record.jobs["gan/a=b"] = ["model=gan"]
    write_sweep(sweep, record)
    (sweep / "gan/a=b").mkdir(parents=True)
    write_status(sweep / "gan/a=b", FINISHED)
    (sweep / ".submitit/1234").mkdir(parents=True)
    assert [run.id for run in list_runs("outputs") if "=" in run.id] == [f"{sweep.name}/gan/a=b"]
    assert len(list_runs("outputs")) == 4 and find_run("a=b") == sweep.relative_to(sweep.parents[2]) / "gan/a=b"
    statuses = [status.status for status in read_jobs(sweep).values()]
    assert statuses == ["finished", "killed", "running", "not started", "finished"]


def test_exit_codes_and_order(sweep):
    def code(*statuses, interrupted=False):
        jobs = {sweep / str(i): Status(each) for i, each in enumerate(statuses)}
        return exit_code(Sweep(sweep, jobs, interrupted, "swd", True))

    assert (code("finished"), code("finished", "stopped")) == (0, 3)
    assert [code("finished", bad) for bad in ("killed", "running", "failed", "not started")] == [1] * 4
    assert code("finished", "not started", interrupted=True) == 3
    found = [Status("finished", objective=value) for value in (3.0, None, 1.0, 2.0)]
    for lower, order in ((True, [1.0, 2.0, 3.0, None]), (False, [3.0, 2.0, 1.0, None])):
        assert [status.objective for status in sorted(found, key=lambda status: rank(status, lower))] == order


def test_gpus_are_given_by_number_and_never_twice_while_one_is_free(tmp_path):
    names = ["3", "5", "7"]
    with machine.one_gpu(names, 4, tmp_path) as first, machine.one_gpu(names, 4, tmp_path) as second:
        assert (first, second) == (1, 2)
        with machine.one_gpu(names, 1, tmp_path) as third, machine.one_gpu(names, 2, tmp_path) as fourth:
            assert (third, fourth) == (0, 2), "all are taken once, so the wanted one is shared"
    with machine.one_gpu(names, 4, tmp_path) as again:
        assert again == 1


def test_a_dead_process_gives_its_gpu_back(tmp_path):
    code = f"from gancli.sweeps.machine import one_gpu\nfrom pathlib import Path\nimport os\n" \
           f"with one_gpu(['0', '1'], 0, Path({str(tmp_path)!r})) as index:\n    print(index, flush=True)\n    os.read(0, 1)"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "0\n"
    with machine.one_gpu(["0", "1"], 0, tmp_path) as index:
        assert index == 1
    holder.kill()
    holder.wait()
    with machine.one_gpu(["0", "1"], 0, tmp_path) as index:
        assert index == 0


def test_what_a_machine_holds(monkeypatch):
    assert [machine.gpu_names(text) for text in ("", "0,2", " 1 , GPU-a", "-1", "0,-1,2")] == [
        [], ["0", "2"], ["1", "GPU-a"], [], ["0"]]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,3")
    assert machine.gpus() == ["2", "3"]
    assert machine.jobs_at_once(4, 2, 0) == 4
    assert [machine.jobs_at_once(0, 8, free) for free in (None, 100 << 30, 5 << 30, 0)] == [8, 8, 2, 1]


@pytest.mark.parametrize(("cfg", "expected"), [
    ({"device": "auto"}, "1"), ({"device": "cuda", "devices": "1"}, "1"), ({"device": "cuda:1"}, "0,1"),
    ({"device": "auto", "devices": 2}, "0,1")])
def test_which_gpus_a_job_sees(cfg, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(machine.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # what submitit leaves
    monkeypatch.setenv(machine.GPUS, "0,1")
    with machine.gpu_environment(cfg, 3) as environment:
        assert environment == {"CUDA_VISIBLE_DEVICES": expected}
    monkeypatch.delenv(machine.GPUS)
    with machine.gpu_environment(cfg, 3) as environment:
        assert environment == {}


def test_defaults_of_launchers(monkeypatch):
    monkeypatch.setattr(launchers, "cores", lambda: 4)
    monkeypatch.setattr(launchers, "free_bytes", lambda: 100 << 30)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    for given, jobs, defaults in (
            (["hydra/launcher=joblib"], 3, ["hydra.launcher.n_jobs=3"]),
            (["hydra/launcher=joblib", "device=cpu"], 4, ["hydra.launcher.n_jobs=4"]),
            (["hydra/launcher=joblib", "hydra.launcher.n_jobs=-2"], 3, []),
            (["hydra/launcher=submitit_local", "hydra.sweeper.max_batch_size=5"], 5, ["hydra.launcher.timeout_min=44640"]),
            ([], 1, [])):
        swept = check_sweep("train", ["seed=0,1", *given])
        keys = {override.partition("=")[0] for override in given}
        assert at_once(swept, keys) == jobs, given
        assert launcher_overrides(swept, jobs, keys) == defaults


def test_cost_is_told():
    def words(*given, jobs=1):
        return cost(check_sweep("train", list(given)), jobs)

    assert words("seed=0,1", "loss=hinge,wgan", "trainer.kimg=200") == "4 jobs, 800 kimg in all, one after the other"
    assert words("seed=0,1", "trainer.kimg=1,2", jobs=8) == "4 jobs, 6 kimg in all, 4 at once"
    assert words("loss=hinge,wgan") == "2 jobs, one after the other"
    assert words("hydra/sweeper=optuna", "hydra.sweeper.n_trials=8", "optimizer.lr=interval(0.1,1)", "trainer.kimg=2") == \
        "8 jobs, 16 kimg in all, one after the other"


def test_trials_without_a_value_are_queued_once():
    a, b, c = {"lr": 1.0}, {"lr": 2.0}, {"lr": 3.0}
    assert without_value([(a, False), (b, True), (a, True), (c, False), (c, False), ({}, False)]) == [c]


def test_direction_follows_the_metric():
    from omegaconf import OmegaConf

    def of(name):
        return objective(OmegaConf.create({"evaluation": {"metrics": [name, "fid"]}}))

    assert [of("swd"), of("is"), of("parzen")] == [("swd", True), ("is", False), ("parzen", False)]
    assert objective(OmegaConf.create({})) == ("objective", True)
    with pytest.raises(UsageError, match="no better side"):
        of("nearest")


@pytest.mark.parametrize(("group", "name", "extra"), [
    ("hydra/launcher", "joblib", "joblib"), ("hydra/sweeper", "optuna", "optuna"),
    ("hydra/launcher", "submitit_local", "submitit")])
def test_an_extra_that_is_not_installed(group, name, extra):
    error = MissingConfigException("", missing_cfg_file=f"{group}/{name}", options=["basic"])
    assert str(explain(error, "train", [])) == f"{group}={name} is not installed: pip install 'gancli[{extra}]'."


@pytest.mark.parametrize(("wrong", "message"), [
    (["optimizer.lr=interval(0.1,1)"], "optimizer.lr=interval(...) is sampled"),
    (["hydra/sweeper=optuna", "hydra/sweeper/sampler=nope", "seed=1,2"], "There is no hydra/sweeper/sampler called nope"),
    (["seed=1,2", "hydra.launcher.n_jobs=2"], "There is no key hydra.launcher.n_jobs")])
def test_what_cannot_be_swept_creates_nothing(wrong, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        bridge.run(task, "train", wrong, multirun=True)
    assert message in str(caught.value) and not list(tmp_path.iterdir())


def test_another_sweep_and_other_files_are_left_alone(sweep, tmp_path):
    def attempt(folder, *given):
        bridge.run(task, "train", [*given, f"hydra.sweep.dir={folder}"], multirun=True)

    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UsageError, match="holds another sweep: loss=hinge in the sweep and loss=wgan here"):
        attempt(sweep, "seed=0,1,2,3", "loss=wgan")
    with pytest.raises(UsageError, match="holds other files"):
        attempt(sweep / "0", "seed=0,1")
    assert sorted(tmp_path.rglob("*")) == before
    lock = try_lock(sweep / ".lock")
    with lock, pytest.raises(UserError, match="is running: stop it first"):
        attempt(sweep, "seed=0,1,2,3", "loss=hinge")


def test_a_job_that_another_process_finished_meanwhile_is_finished(tmp_path):
    before = replace(FINISHED, objective=0.5, pid=1)
    write_status(tmp_path, before)

    def finished(cfg):
        raise Finished("The run 2 has finished its 1 kimg: give a longer trainer.kimg= to train it further.")

    assert _run_in_sweep(finished, OmegaConf.create(), tmp_path) == 0.5 and read_status(tmp_path) == before


def test_objective_is_recorded_and_json(tmp_path):
    write_status(tmp_path, replace(FINISHED, objective=float("nan")))
    assert json.loads((tmp_path / "status.json").read_text())["objective"] is None
