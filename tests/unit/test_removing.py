"""`gan remove`: sizes told, a question asked, nothing taken that is no run, is running, or lies behind a link."""

import os
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gancli.cli.main import app
from gancli.runs.locks import try_lock
from gancli.runs.owner import owned
from gancli.runs.status import Status, write_status
from gancli.runs.sweeps import SweepRecord, differing, write_sweep


def make_run(path: Path, status: Status | None = None) -> Path:
    (path / "checkpoints").mkdir(parents=True)
    (path / "checkpoints/kimg-000001_000.safetensors").write_bytes(bytes(3 << 20))
    write_status(path, status or Status.begin([]).end("finished"))
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def remove(*words: str, code: int = 0):
    """Run the command; return what it printed and said."""
    result = CliRunner().invoke(app, ["remove", *words])
    assert result.exit_code == code, result.output
    return result.output


def test_a_run_goes_by_its_id_with_its_size_told(folder):
    run, other = make_run(folder / "outputs/train/one-a1-gan"), make_run(folder / "outputs/train/two-b2-gan")
    told = remove("one-a1-gan", "yes=true")
    assert "a run, 3.0 MiB" in told and "Removed" in told
    assert not run.exists() and other.exists()


def test_nothing_goes_without_an_answer(folder, monkeypatch):
    run = make_run(folder / "outputs/train/one")
    assert "add yes=true" in remove("one", code=2)
    monkeypatch.setattr("gancli.cli.remove._agreed", lambda count: False)
    assert "Nothing was removed" in remove("one", code=1)
    assert "3.0 MiB" in remove("one", "yes=false", code=1) and run.exists()
    assert "yes= takes true or false" in remove("one", "yes=perhaps", code=2)
    assert "Which run?" in remove("yes=true", code=2)


def test_a_sweep_goes_whole_and_one_of_its_jobs_alone(folder):
    sweep = folder / "outputs/sweep/s1"
    jobs = [make_run(sweep / str(number)) for number in range(3)]
    write_sweep(sweep, SweepRecord("train", [], jobs={"0": ["seed=0"], "1": ["seed=1"], "2": ["seed=2"]}))
    assert "a run, 3.0 MiB" in remove("s1/1", "yes=true") and not jobs[1].exists() and jobs[2].exists()
    assert "a sweep of 2 runs, 6.0 MiB" in remove("s1", "yes=true") and not sweep.exists()


def test_links_are_not_followed(folder):
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept.txt").write_text("kept" * 9_000)
    run = make_run(folder / "outputs/train/one")
    (run / "data").symlink_to(elsewhere)
    (run / "file").symlink_to(elsewhere / "kept.txt")
    (folder / "outputs/train/linked").symlink_to(run)
    assert "is a link" in remove("linked", "yes=true", code=1) and run.exists()
    assert "3.0 MiB" in remove("outputs/train/one", "yes=true")
    assert (elsewhere / "kept.txt").exists() and not run.exists()


def test_a_job_that_lies_behind_a_link_stays(folder):
    run, sweep = make_run(folder / "outputs/train/one"), folder / "outputs/sweep/s1"
    make_run(sweep / "0")
    (sweep / "1").symlink_to(run)
    write_sweep(sweep, SweepRecord("train", [], jobs={"0": [], "1": []}))
    remove("s1", "yes=true")
    assert not sweep.exists() and (run / "status.json").exists()


def test_what_is_no_run_stays(folder):
    (folder / "mine/checkpoints").mkdir(parents=True)
    (folder / "mine/sweep.json").write_text("{}")
    (folder / "mine/letter.txt").write_text("dear")
    assert "it is no run of gan, and stays" in remove("mine", "yes=true", code=1)
    assert "There is no run called nothing" in remove("nothing", "yes=true", code=1)
    run = make_run(folder / "outputs/train/one")
    assert "name the run itself" in remove(str(run / "checkpoints"), "yes=true", code=1)
    os.chdir(run)
    assert "the folder that you are in" in remove(str(run), "yes=true", code=1)
    assert (folder / "mine/letter.txt").exists() and run.exists()


def test_a_running_run_stays_and_so_does_its_sweep(folder):
    run = make_run(folder / "outputs/train/one", Status.begin([]))
    assert f"process {os.getpid()} on {socket.gethostname()}" in remove("one", "yes=true", code=1) and run.exists()
    sweep = folder / "outputs/sweep/s1"
    make_run(sweep / "0"), make_run(sweep / "1", Status.begin([]))
    write_sweep(sweep, SweepRecord("train", [], jobs={"0": [], "1": []}))
    assert "stop it first" in remove("s1", "yes=true", code=1) and (sweep / "0").exists()


def test_a_sweep_that_somebody_works_at_stays(folder):
    sweep = folder / "outputs/sweep/s1"
    make_run(sweep / "0")
    write_sweep(sweep, SweepRecord("train", [], jobs={"0": []}))
    with try_lock(sweep / ".lock"):
        assert "The sweep s1 is running" in remove("s1", "yes=true", code=1)
    assert (sweep / "0").exists()


def test_a_run_that_somebody_owns_stays(folder):
    run = make_run(folder / "outputs/train/one")  # its status says finished; its owner is about to write another
    with owned(run):
        assert "is being trained by" in remove("one", "yes=true", code=1)
    assert run.exists()
    remove("one", "yes=true")
    assert not run.exists()


def test_the_keys_in_which_a_sweeps_jobs_differ(folder):
    sweep = folder / "outputs/sweep/s1"
    make_run(sweep / "0")
    jobs = {"0": ["model=gan", "seed=0", "+optimizer.lr=1"], "1": ["model=gan", "seed=1", "+optimizer.lr=1"]}
    write_sweep(sweep, SweepRecord("train", [], jobs=jobs))
    assert differing(sweep / "0") == ["seed"] and differing(folder / "outputs/train/one") == []
