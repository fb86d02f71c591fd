"""What clusters do to a run and to a sweep, without one: signals, places of ranks, what is kept, how far sweeps are."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from omegaconf import OmegaConf
from rich.console import Console
from typer.testing import CliRunner

from gancli import capacity
from gancli.cli import main, watch
from gancli.config.compose import check_sweep
from gancli.devices import count_ranks
from gancli.engine.stopping import StopRequest, handlers_restored
from gancli.errors import UsageError, UserError
from gancli.ranks import nodes, shards
from gancli.ranks.shards import Place
from gancli.runs.directory import is_run
from gancli.runs.progress import SweepProgress, progress_of, read_progress, write_progress
from gancli.runs.status import Status, read_status, write_status
from gancli.runs.sweeps import SweepRecord, shared_words, sweeps_in, write_sweep
from gancli.sweeps import disk, slurm, warned
from gancli.sweeps.disk import disk_sentence
from gancli.sweeps.isolation import run_isolated
from gancli.sweeps.keeping import delete_rest, kept_best
from gancli.sweeps.launchers import cost, launcher_overrides
from gancli.sweeps.launching import ResumingLauncher, Session
from gancli.sweeps.matching import changeable, differences
from gancli.sweeps.slurm import Queue

SLURM = ["hydra/launcher=submitit_slurm"]
STEP = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "0", "SLURM_JOB_ID": "7", "SLURM_STEP_ID": "0",
        "SLURM_STEP_NODELIST": "n[1-2]"}


@pytest.mark.parametrize("name", ["SIGUSR1", "SIGUSR2", "SIGTERM"])
def test_a_queue_s_warning_asks_a_run_to_stop_and_its_repetition_does_not_end_it_while_it_saves(name):
    number = getattr(signal, name)
    with handlers_restored():
        with StopRequest() as stop:
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), signal.SIGTERM)  # of its worker, which was warned, too
            assert stop.why == name
        os.kill(os.getpid(), number)  # while the record is finished
        with StopRequest() as stop:
            assert stop.why is None
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_signal_after_its_end_does_not_make_a_finished_job_a_stopped_one(tmp_path):
    from gancli.sweeps.jobs import _record

    write_status(tmp_path, Status.begin([]).end("finished"))
    _record(tmp_path, "stopped", "interrupted before it could save", "")
    assert read_status(tmp_path).status == "finished"


def test_a_task_of_srun_is_a_rank_and_a_batch_script_is_none(monkeypatch):
    for key in (*shards.LAUNCHER, *STEP):
        monkeypatch.delenv(key, raising=False)
    assert shards.launched() is None
    for key, value in STEP.items():
        monkeypatch.setenv(key, value)
    assert shards.launched() == Place(1, 2, 0)
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "1")
    assert shards.launched() is None
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS")
    monkeypatch.setenv("SLURM_NTASKS", "4")  # as a script of sbatch --ntasks=4 has it, without tasks of its own
    assert shards.launched() is None
    for key, value in zip(shards.LAUNCHER, ("3", "4", "1", "here", "29500")):
        monkeypatch.setenv(key, value)
    assert shards.launched() == Place(3, 4, 1)  # torchrun's word counts before srun's, which started its agents


def test_ranks_meet_where_the_user_or_slurm_says(monkeypatch):
    answers = {"hostnames": "n1\nn2\n", "node": "NodeName=n1 Arch=x86_64 NodeAddr=10.1.2.3 NodeHostName=n1\n"}
    monkeypatch.setattr(nodes, "_answer", lambda *command: answers[command[2]])
    address, port = nodes.meeting_point(STEP)
    assert address == "10.1.2.3" and nodes.FIRST_PORT <= port < nodes.FIRST_PORT + nodes.PORTS
    assert nodes.meeting_point({**STEP, "SLURM_STEP_ID": "1"})[1] != port  # two steps on one node
    assert nodes.meeting_point({**STEP, "MASTER_ADDR": "head", "MASTER_PORT": "29500"}) == ("head", 29500)

    def fails(*command):
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(nodes, "_answer", fails)
    with pytest.raises(UserError, match="export MASTER_ADDR="):
        nodes.meeting_point(STEP)


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for interfaces")
def test_the_interface_toward_this_machine_is_the_loopback():
    assert nodes.interface_toward("127.0.0.1") == "lo"
    assert nodes.interface_toward("no such host") is None


def test_cores_are_those_that_slurm_has_given(monkeypatch):
    monkeypatch.delenv(capacity.ALLOCATED, raising=False)
    own = capacity.cores()
    monkeypatch.setenv(capacity.ALLOCATED, "1")
    assert capacity.cores() == 1
    monkeypatch.setenv(capacity.ALLOCATED, str(own + 8))
    assert capacity.cores() == own


def test_a_sweep_under_slurm_requeues_and_says_so():
    swept = check_sweep("train", ["seed=0,1", *SLURM])
    assert launcher_overrides(swept, 2, set()) == ["++hydra.launcher.additional_parameters.requeue=true",
                                                   "hydra.launcher.max_num_timeout=10000"]
    assert not any("max_num" in word for word in launcher_overrides(swept, 2, {"hydra.launcher.max_num_timeout"}))
    assert "goes back into the queue and continues" in cost(swept, 2)
    assert "queue" not in cost(check_sweep("train", ["seed=0,1"]), 1)


def launcher(*more: str) -> OmegaConf:
    return check_sweep("train", ["seed=0,1", *SLURM, *more]).cfg.hydra.launcher


def answering(monkeypatch, returncode: int, stderr: str) -> list[tuple[str, ...]]:
    asked = []

    def ask(*command):
        asked.append(command)
        return SimpleNamespace(returncode=returncode, stderr=stderr, stdout="main\nspare\n")

    monkeypatch.setattr(slurm, "_ask", ask)
    monkeypatch.setattr(slurm.shutil, "which", lambda name: name)
    return asked


def test_slurm_is_asked_with_the_jobs_own_settings(monkeypatch):
    asked = answering(monkeypatch, 0, "")
    slurm.check(launcher("hydra.launcher.partition=spare", "hydra.launcher.mem_gb=4", "hydra.launcher.timeout_min=30",
                         "hydra.launcher.cpus_per_task=2", "+hydra.launcher.additional_parameters.nice=5"))
    assert asked == [("sbatch", "--test-only", "--time=30", "--ntasks-per-node=1", "--mem=4G", "--partition=spare",
                      "--nodes=1", "--cpus-per-task=2", "--nice=5", "--wrap=true")]


@pytest.mark.parametrize(("said", "advice"), [
    ("sbatch: error: invalid partition specified: x\nallocation failure: Invalid partition name specified",
     r"^Slurm refuses these jobs: Invalid partition name specified\. Give hydra\.launcher\.partition=main or spare\.$"),
    ("allocation failure: Invalid account or account/partition combination specified", r"Give hydra\.launcher\.account="),
    ("allocation failure: Requested node configuration is not available", r"is not available\. `sinfo .* says what there is"),
])
def test_what_slurm_refuses_is_told_in_a_sentence(said, advice, monkeypatch):
    answering(monkeypatch, 1, said)
    with pytest.raises(UsageError, match=advice):
        slurm.check(launcher())


def test_jobs_that_could_not_be_warned_and_jobs_of_several_tasks_are_refused(monkeypatch):
    answering(monkeypatch, 0, "")
    with pytest.raises(UsageError, match="ends a job before it is told to save, 120 s before its end"):
        slurm.check(launcher("hydra.launcher.timeout_min=2"))
    with pytest.raises(UsageError, match="one process, which starts its ranks itself"):
        slurm.check(launcher("hydra.launcher.tasks_per_node=2"))


def test_without_slurm_its_launcher_is_refused(monkeypatch):
    monkeypatch.setattr(slurm.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match="one_node_slurm"):
        slurm.check(launcher())


def test_jobs_that_left_the_queue_long_ago_are_lost_unless_the_controller_is_away(tmp_path, monkeypatch):
    for number in ("5_0", "5_1", "5_2"):
        (tmp_path / slurm.FOLDER / number).mkdir(parents=True)
    clock, answer = [0.0], SimpleNamespace(returncode=0, stdout="5_0 RUNNING\n5_2 PENDING\n9 RUNNING\n")
    monkeypatch.setattr(slurm.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(slurm.subprocess, "run", lambda *command, **options: answer)
    queue = Queue(tmp_path)
    assert queue.look() and queue.states == {"5_0": "RUNNING", "5_2": "PENDING"}  # 9 is another sweep's
    assert not queue.is_lost("5_1")  # its report may come yet
    clock[0] = slurm.ABSENT_S + 1
    assert queue.is_lost("5_1") and not queue.is_lost("5_0")
    answer.stdout = "5_0 RUNNING\n5_1 PENDING\n5_2 PENDING\n"  # it was queued again
    assert queue.look() and not queue.is_lost("5_1")
    answer.returncode, clock[0] = 1, clock[0] + 100
    assert not queue.look() and not queue.is_lost("5_1")


@pytest.mark.parametrize(("signals", "preempted", "again"), [
    (["SIGUSR2"], False, True), (["SIGUSR1"], False, True), (["SIGTERM"], True, True), (["SIGTERM"], False, False),
    ([], True, False)])
def test_only_a_queue_puts_a_job_back(signals, preempted, again, tmp_path, monkeypatch):
    monkeypatch.setenv(warned.SUBMITIT, "slurm")
    monkeypatch.setattr(warned, "is_preempted", lambda job: preempted)
    monkeypatch.setattr(warned, "_is_fruitless", lambda *status: False)
    answered, before = [], {number: signal.getsignal(number) for number in warned.QUEUES}
    signal.signal(signal.SIGUSR2, lambda number, frame: answered.append(signal.Signals(number).name))
    try:
        with warned.Warned() as told:
            for name in signals:
                os.kill(os.getpid(), getattr(signal, name))
        assert told.told == bool(signals) and not answered  # submitit's own answer waits until the job has saved
        for number in warned.QUEUES if signals else ():
            os.kill(os.getpid(), number)  # warned once more while it queues again: that must not end it
        warned.queue_again(told, tmp_path, None, Status("stopped"))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert answered == (signals if again else [])


def test_a_job_that_its_time_limit_ends_before_it_has_trained_is_not_queued_for_ever(tmp_path, monkeypatch):
    told = warned.Warned()
    told.signals, told.answers = [signal.SIGUSR2], {signal.SIGUSR2: lambda *call: pytest.fail("queued again")}
    monkeypatch.setattr(warned, "_is_fruitless", lambda *status: True)
    warned.queue_again(told, tmp_path, None, Status("stopped"))
    assert json.loads((tmp_path / "status.json").read_text())["why"].startswith("its time limit ended it before")


def finished(folder: Path, objective: float | None, status: str = "finished") -> Path:
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "kimg-000001.safetensors").write_bytes(bytes(10))
    write_status(folder, Status(status, objective=objective, overrides=[f"seed={folder.name}"]))
    return folder


def test_sweep_keep_deletes_the_checkpoints_of_the_rest_and_says_so(tmp_path):
    runs = [finished(tmp_path / str(number), value) for number, value in enumerate((0.5, 0.1, 0.3, None))]
    runs.append(finished(tmp_path / "4", 9.0, "stopped"))
    from gancli.sweeps.sweeping import read_jobs

    write_sweep(tmp_path, SweepRecord("train", [], jobs={run.name: [] for run in runs}))
    assert delete_rest(read_jobs(tmp_path), 2, lower_is_better=True) == [runs[0]]
    left = [bool(list((run / "checkpoints").iterdir())) for run in runs]
    assert left == [False, True, True, True, True]  # what has no objective, or may be continued, keeps its own
    assert "sweep.keep=best:2: 1 checkpoints deleted; with 0.5 this job is number 3" in (runs[0] / "log.txt").read_text()
    assert delete_rest(read_jobs(tmp_path), 2, lower_is_better=True) == []
    assert delete_rest(read_jobs(tmp_path), 1, lower_is_better=False) == [runs[2], runs[1]]


@pytest.mark.parametrize(("overrides", "told"), [
    (["sweep.keep=most"], "all or best:N"), (["sweep.keep=best:0"], "all or best:N"), (["sweep.keep=all,best:1"], "one value"),
    (["sweep.keep=best:1", "evaluation.kimg=null"], "ranks jobs by what evaluation measures")])
def test_sweep_keep_is_checked(overrides, told):
    with pytest.raises(UsageError, match=told):
        kept_best(check_sweep("train", ["seed=0,1", *overrides]))


def test_sweep_keep_may_change_when_a_sweep_goes_on():
    assert kept_best(check_sweep("train", ["seed=0,1", "sweep.keep=best:3"])) == 3
    assert kept_best(check_sweep("train", ["seed=0,1"])) is None
    assert differences(["seed=0,1"], ["seed=0,1", "sweep.keep=best:3"], ["seed"]) == []
    assert "sweep.keep" in changeable(["sweep.keep=best:3"], ["seed"])


def test_status_json_of_a_sweep_is_read_back_and_makes_no_run_of_it(tmp_path):
    jobs = {tmp_path / "0": Status("finished", objective=2.0), tmp_path / "1": Status("finished", objective=1.0),
            tmp_path / "2": Status("running", objective=None)}
    write_sweep(tmp_path, SweepRecord("train", []))
    write_progress(tmp_path, progress_of("running", 5, jobs, tmp_path, True, "2026-01-01T00:00:00+00:00"))
    progress = read_progress(tmp_path)
    assert progress.jobs == {"finished": 2, "running": 1} and progress.best == "1" and progress.of == 5
    assert progress.sentence() == ("running: 2 finished, 1 running, 2 not launched of 5 jobs; the best so far is 1 with 1")
    assert not is_run(tmp_path) and [folder for folder, _ in sweeps_in(tmp_path)] == [tmp_path]
    (tmp_path / "status.json").write_text('{"status": "running", "of": "many"}')
    assert read_progress(tmp_path) is None


def test_a_swept_job_is_told_by_what_is_its_own(tmp_path):
    write_sweep(tmp_path, SweepRecord("train", ["model=gan", "seed=0,1"]))
    assert shared_words(tmp_path, [["model=gan", "seed=0"]]) == {"model=gan", "seed=0,1"}
    assert shared_words(None, [["a=1", "b=2"], ["a=1", "b=3"]]) == {"a=1"}


def test_a_queue_s_signal_reaches_a_job_of_a_sweep_that_has_only_begun(tmp_path, monkeypatch):
    """A signal that comes before the job's process has handlers waits until it has them."""
    from hydra.core.hydra_config import HydraConfig

    from gancli.sweeps import isolation

    monkeypatch.setattr(HydraConfig, "get", staticmethod(lambda: OmegaConf.create({"launcher": {}, "sweeper": {}})))
    monkeypatch.setattr(isolation, "CHILD", "signal_probe")
    (tmp_path / "signal_probe.py").write_text(
        "import os, signal, sys\n"
        "held = signal.pthread_sigmask(signal.SIG_BLOCK, [])\n"
        "os.kill(os.getpid(), signal.SIGUSR2)\n"
        "sys.exit(5 if {signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2} <= held else 6)\n")
    monkeypatch.chdir(tmp_path)

    def task(cfg):
        return None

    assert run_isolated(task, OmegaConf.create({}), tmp_path / "job", lambda: False, {}) == 5
    assert signal.SIGUSR2 not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_disk_use_is_told_beforehand_by_what_validate_says_of_the_first_job(tmp_path, monkeypatch):
    asked = []

    def answer(command, **options):
        asked.append(command[3:])
        return SimpleNamespace(stdout="model  gan\ndisk          about 2,097,152 bytes: 2 checkpoints of 1 MiB\n")

    monkeypatch.setattr(disk.subprocess, "run", answer)
    overrides = ["seed=range(0,30)", "model=gan", "sweep.keep=best:4", *SLURM]
    swept = check_sweep("train", overrides)
    told = disk_sentence(swept, overrides, None, tmp_path / "new", 4)
    assert asked == [["validate", "seed=0", "model=gan"]]
    assert told.startswith("Disk: the checkpoints of 4 jobs (sweep.keep=best:4) take about 8.0 MiB, and ")
    assert "of 30 jobs take about 60.0 MiB" in disk_sentence(swept, overrides, None, tmp_path, None)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda path: SimpleNamespace(free=1 << 20))
    assert "too little; give sweep.keep=best:10" in disk_sentence(swept, overrides, None, tmp_path, None)
    few = ["seed=0,1"]
    assert disk_sentence(check_sweep("train", few), few, None, tmp_path, None) is None


def test_watch_shows_sweeps_and_running_runs_first_and_wants_a_terminal(tmp_path):
    sweep = tmp_path / "sweep" / "many"
    jobs = {sweep / str(number): Status("running" if number == 7 else "finished", images=2000, pid=os.getpid(),
                                        started=f"2026-01-0{number + 1}", host="elsewhere") for number in range(8)}
    for folder, status in jobs.items():
        folder.mkdir(parents=True)
        write_status(folder, status)
    write_sweep(sweep, SweepRecord("train", [], jobs={folder.name: [] for folder in jobs}))
    progress = progress_of("running", 200, jobs, sweep, True, "2026-01-01T00:00:00+00:00")
    write_progress(sweep, progress)
    console = Console(width=120, file=StringIO())
    console.print(watch.drawn(tmp_path, 12, lambda best: ""))
    lines = console.file.getvalue().splitlines()
    assert lines[0].startswith("many  running: 7 finished, 1 running, 192 not launched of 200 jobs")
    rows = [line.split()[0] for line in lines if line.strip().startswith("many/")]
    assert rows == ["many/7", "many/6", "many/5", "many/4", "many/3"] and any(line.strip() == "and 3 more" for line in lines)
    assert len(lines) <= 12
    silent = replace(progress, updated="2026-01-01T00:00:00+00:00")
    assert "(not heard of for" in watch.told(silent) and "not heard" not in watch.told(replace(silent, status="finished"))
    done = CliRunner().invoke(main.app, ["list", "runs", "--watch", "--root", str(tmp_path)], prog_name="gan")
    assert done.exit_code == 2 and "--watch redraws a terminal" in done.stderr
    done = CliRunner().invoke(main.app, ["list", "models", "--watch"], prog_name="gan")
    assert done.exit_code == 2 and "belongs to gan list runs" in done.stderr


def test_more_ranks_than_slurm_has_given_are_refused(monkeypatch):
    monkeypatch.setenv(capacity.ALLOCATED, "1")
    with pytest.raises(UserError, match="devices=2 is more than the 1 core that Slurm has given this job: give devices=1"):
        count_ranks("2", torch.device("cpu"), "cpu")


@pytest.mark.parametrize("stopped", [False, True])
def test_a_job_that_never_began_is_failed_unless_its_sweep_was_stopped(stopped, tmp_path, capsys):
    session = Session(tmp_path, SweepRecord("train", [], jobs={"0": ["seed=0"]}), slurm.LAUNCHER, 1, lambda: stopped)
    ResumingLauncher(None, session, None, None)._lost("0", UserError("Slurm's job 5_0 has left the queue"))
    status = read_status(tmp_path / "0")
    assert (status is None) == stopped and (stopped or status.why == "its worker ended: Slurm's job 5_0 has left the queue")


@pytest.mark.parametrize("updated", ["yesterday", "2026-11-30T18:51:00+00:0", "2026-11-30T18:51:00", 3])
def test_a_sweeps_record_of_another_time_is_damaged(updated, tmp_path):
    write_progress(tmp_path, SweepProgress("running", 2, updated="2026-11-30T18:51:00+00:00"))
    assert read_progress(tmp_path).of == 2
    write_progress(tmp_path, SweepProgress("running", 2, updated=updated))
    assert read_progress(tmp_path) is None
