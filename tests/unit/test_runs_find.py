"""Runs by path, id or part of it; the list of runs; status.json; provenance; new run directories."""

import json
import os
import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch

from gancli.errors import UserError
from gancli.runs import directory
from gancli.runs.checkpoint import CheckpointFolder
from gancli.runs.directory import is_run, provenance, run_name
from gancli.runs.find import find_checkpoint, find_run, list_runs
from gancli.runs.status import Status, read_status, write_status

FIRST = "20260101T000000Z-aaaaaa-dcgan-mnist"
SECOND = "20260102T000000Z-bbbbbb-cgan-mnist"
JOB = "20260103T000000Z-cccccc/0"


def make_run(path, model: str, started: str, kimg: list[float] = (), overrides: list[str] = (), status="finished"):
    path.mkdir(parents=True)
    (path / "config.yaml").write_text(f"model: {{name: {model}}}\nloss: {{name: wgan_gp, rule: wgan}}\n"
                                      "dataset: {name: mnist}\n")
    images = int(max(kimg, default=0) * 1000)
    write_status(path, replace(Status.begin(list(overrides)), status=status, started=started, images=images,
                               figures={"fid": 12.5, "bad": float("nan")}))
    for value in kimg:
        CheckpointFolder(path).save(round(value * 1000), {"model/a": torch.ones(2)},
                                    {"config": {}, "spec": {}, "progress": {"images": round(value * 1000)}})


@pytest.fixture
def outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    root = tmp_path / "outputs"
    make_run(root / "train" / FIRST, "dcgan", "2026-01-01T00:00:00+00:00", [0.5, 10, 12.345], ["loss=wgan_gp"])
    make_run(root / "train" / SECOND, "cgan", "2026-01-02T00:00:00+00:00", [200], status="failed")
    make_run(root / "sweep" / JOB, "gan", "2026-01-03T00:00:00+00:00")
    (root / "train" / "empty").mkdir()
    return root


def test_list_runs_tells_of_every_run_by_time(outputs):
    runs = list_runs(outputs)
    assert [run.id for run in runs] == [FIRST, SECOND, JOB]
    assert [run.status for run in runs] == ["finished", "failed", "finished"]
    assert [run.model for run in runs] == ["dcgan", "cgan", "gan"]
    assert [run.loss for run in runs] == ["wgan_gp", "wgan_gp", "wgan_gp"]
    assert runs[0].kimg == 12.345 and runs[0].dataset == "mnist"
    assert runs[0].figures == {"fid": 12.5, "bad": None}
    assert runs[2].path == outputs / "sweep" / JOB


def test_a_broken_record_does_not_hide_the_other_runs(outputs):
    (outputs / "train" / FIRST / "config.yaml").write_text("{broken: [")
    (outputs / "train" / FIRST / "status.json").write_text("[1, 2]")
    broken = {run.id: run for run in list_runs(outputs)}[FIRST]
    assert (broken.status, broken.model, broken.loss) == ("damaged", "?", "?")
    assert broken.why == "status.json is damaged: it is no JSON object"
    assert len(list_runs(outputs)) == 3
    assert list_runs(outputs / "nowhere") == []


@pytest.mark.parametrize(("text", "run"), [(FIRST, f"train/{FIRST}"), ("bbbbbb", f"train/{SECOND}"),
                                           ("dcgan", f"train/{FIRST}"), ("cgan", f"train/{SECOND}"),
                                           ("cccccc", f"sweep/{JOB}"),
                                           (JOB, f"sweep/{JOB}"), (f"outputs/train/{SECOND}/", f"train/{SECOND}"),
                                           (f"outputs/train/{SECOND}/checkpoints", f"train/{SECOND}")])
def test_a_run_is_found(text, run, outputs):
    assert find_run(text).resolve() == (outputs / run).resolve()


@pytest.mark.parametrize(("text", "message"), [
    ("mnist", rf"mnist names 2 runs: {FIRST}, {SECOND}. Give more"),
    ("dcgam", rf"no run called dcgam; did you mean {FIRST}"),
    ("zzzzzzzz", r"no run called zzzzzzzz; the newest are 20260103.*/0, 20260102"),
    ("outputs", r"is no run but holds 3"),
    ("outputs/train/empty", "holds no run"),
    ("", "no run called"),
])
def test_what_names_no_run_is_refused(text, message, outputs):
    with pytest.raises(UserError, match=message):
        find_run(text)


def test_without_runs_the_error_says_what_to_do(tmp_path):
    with pytest.raises(UserError, match="none in .*gan train"):
        find_run("dcgan", tmp_path)


@pytest.mark.parametrize(("text", "name"), [
    (FIRST, "kimg-000012_345"), (f"{FIRST}@10", "kimg-000010"), ("aaaaaa@0.5", "kimg-000000_500"),
    ("aaaaaa@12.345", "kimg-000012_345"), ("bbbbbb@latest", "kimg-000200"),
    (f"outputs/train/{FIRST}@10", "kimg-000010"),
    (f"outputs/train/{FIRST}/checkpoints/kimg-000010.safetensors", "kimg-000010"),
])
def test_a_checkpoint_is_found(text, name, outputs):
    assert find_checkpoint(text).name == f"{name}.safetensors"


def test_the_best_checkpoint_comes_before_the_latest(outputs):
    CheckpointFolder(outputs / "train" / FIRST).mark_best("kimg-000010.safetensors")
    assert find_checkpoint(FIRST).name == "kimg-000010.safetensors"
    assert find_checkpoint(f"{FIRST}@best").name == "kimg-000010.safetensors"
    assert find_checkpoint(f"{FIRST}@latest").name == "kimg-000012_345.safetensors"


@pytest.mark.parametrize(("text", "message"), [
    ("aaaaaa@11", "no checkpoint at 11 kimg; it has those at 0.5, 10, 12.345 kimg"),
    ("aaaaaa@best", "no best checkpoint"),
    ("aaaaaa@soon", "soon is no number of kimg"),
    ("aaaaaa@inf", "inf is no number of kimg"),
    (JOB, "no checkpoint yet"),
    (f"outputs/train/{FIRST}/checkpoints/kimg-000011.safetensors", "its folder holds kimg-000000_500.safetensors, "),
    ("nowhere/a.safetensors", "ckpt=RUN"),
])
def test_what_names_no_checkpoint_is_refused(text, message, outputs):
    with pytest.raises(UserError, match=message):
        find_checkpoint(text)


def test_a_running_status_without_its_process_is_killed(tmp_path):
    running = Status.begin(["a=1"])
    write_status(tmp_path, running)
    assert read_status(tmp_path) == running
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for status in (replace(running, pid=dead.pid), replace(running, process_started=1), replace(running, pid=0)):
        write_status(tmp_path, status)
        assert read_status(tmp_path).status == "killed"
    write_status(tmp_path, replace(running, pid=dead.pid, host="another"))
    assert read_status(tmp_path).status == "running"


def test_a_run_of_another_machine_is_killed_once_it_is_silent(tmp_path):
    write_status(tmp_path, replace(Status.begin([]), host="elsewhere"))
    assert read_status(tmp_path).status == "running", "nobody tells: a run of before there were owners"
    (tmp_path / "owner.json").write_text("{}")
    assert read_status(tmp_path).status == "running"
    long_ago = time.time() - 601
    os.utime(tmp_path / "owner.json", (long_ago, long_ago))
    found = read_status(tmp_path)
    assert found.status == "killed" and found.why.endswith("on elsewhere for 10 minutes")


def test_a_zombie_is_killed(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    child.stdout.read()  # returns once the child is gone; nobody has waited for it yet
    write_status(tmp_path, replace(Status.begin([]), pid=child.pid, process_started=5))
    assert read_status(tmp_path).status == "killed"
    child.wait()


def test_status_ends_with_a_reason_and_is_valid_json(tmp_path):
    ended = replace(Status.begin([]), figures={"loss": float("inf")}).end("stopped", "SIGTERM")
    write_status(tmp_path, ended)
    values = json.loads((tmp_path / "status.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert (values["status"], values["why"], values["figures"]) == ("stopped", "SIGTERM", {"loss": None})
    assert values["ended"].endswith("+00:00")
    with pytest.raises(ValueError, match="finished, failed, stopped"):
        ended.end("killed")
    assert read_status(tmp_path / "nowhere") is None


def test_a_new_run_has_a_name_of_its_own_without_signs_that_hydra_reads():
    names = {run_name("dcgan", "my (odd)=data/~x") for _ in range(20)}
    assert len(names) == 20 and all(re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}-dcgan-my_odd_data_x", name) for name in names)
    assert run_name("...", "=").endswith("-unnamed-unnamed")


def test_any_part_of_a_record_marks_a_run(tmp_path):
    assert not is_run(tmp_path) and not is_run(tmp_path / "none")
    for number, name in enumerate(directory.RECORDS):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / name).touch()
        assert is_run(tmp_path / str(number))


def test_provenance_names_code_versions_and_data():
    record = provenance("cpu", 2, 3, "abc", argv=["gan", "train"])
    assert (record["device"], record["seed"], record["dataset_fingerprint"]) == ("cpu", 3, "abc")
    assert record["versions"]["torch"] == torch.__version__.partition("+")[0] or "+" in record["versions"]["torch"]
    assert record["versions"]["gancli"] and record["argv"] == ["gan", "train"]
    json.dumps(record)


def test_git_state_tells_the_commit_and_changes(tmp_path, monkeypatch):
    package = tmp_path / "gancli"
    (package / "runs").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(directory, "__file__", str(package / "runs" / "directory.py"))
    assert directory.git_state() is None
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], check=True, env=environment)
    assert directory.git_state() is None  # a checkout, but not of this code
    subprocess.run([*git, "add", "."], check=True, env=environment)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True, env=environment)
    state = directory.git_state()
    assert len(state["commit"]) == 40 and state["dirty"] is False
    (package / "__init__.py").write_text("changed")
    assert directory.git_state()["dirty"] is True


def test_finding_runs_imports_no_torch():
    code = ("import sys, gancli, gancli.runs.find, gancli.runs.status, gancli.runs.directory;"
            "sys.exit('torch' in sys.modules or 'safetensors' in sys.modules)")
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
