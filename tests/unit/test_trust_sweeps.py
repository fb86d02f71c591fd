"""A sweep's record may be a stranger's: of what it says little is taken, and nothing of it runs or leads elsewhere."""

import json

import pytest
from systems import later

from gancli.cli import bridge
from gancli.cli.train import task
from gancli.errors import UserError
from gancli.runs.find import list_runs
from gancli.runs.sweeps import SweepRecord, job_folder, read_sweep, write_sweep
from gancli.sweeps.sweeping import continued_sweep

CALLBACK = "+hydra.callbacks.x={_target_:io.open,file:CANARY,mode:w}"
REFUSED = [
    CALLBACK, CALLBACK[1:], "hydra.callbacks={x:{_target_:io.open,file:CANARY,mode:w}}",
    "hydra.launcher.setup=[touch CANARY]", "hydra.launcher.additional_parameters={wrap:touch}", "hydra.launcher.srun_args=[x]",
    "hydra.sweeper.custom_search_space=os.system", "hydra.sweeper.storage=sqlite:////tmp/x.db", "hydra.run.dir=/tmp",
    "hydra.launcher.submitit_folder=/tmp", "hydra.launcher.temp_folder=/tmp", "hydra.searchpath=[file:///tmp]",
    "hydra.sweeper.sampler._target_=io.open", "hydra.sweeper.params={+hydra.callbacks.x:1}", "hydra.launcher._target_=io.open",
    "hydra/callbacks=x", "hydra/launcher=rq", "hydra.launcher.n_jobs=${oc.env:HOME}", "hydra.sweeper.n_trials=abc",
    "hydra.sweep.subdir=../outside", "hydra.sweep.subdir=/outside", "hydra.sweep.subdir=${oc.env:HOME}",
    "run_dir=/tmp/x", "resume=other", "dataset.path=${oc.env:HOME}", "+model.x={_target_:io.open}",
    "model.x={_target_:io.open}",
    "model@hydra.callbacks=dcgan", "~seed", "seed", "model=../../elsewhere/options", "model=/elsewhere/options",
    "hydra.mode=RUN",
]
TAKEN = [
    "model=gan,dcgan", "optimizer.lr=1e-4", "optimizer.lr=tag(log,interval(1e-5,1e-3))", "dataset.path=/pictures/own",
    "hydra/launcher=joblib", "hydra.launcher.n_jobs=-1", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=8",
    "hydra/sweeper/sampler=tpe", "hydra.launcher.timeout_min=600", "hydra.sweep.subdir=${model.name}/${hydra.job.num}",
    "seed=0,1",
]


@pytest.fixture
def record(tmp_path, monkeypatch):
    """Write sweep.json of outputs/sweep/theirs with some fields."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "outputs/sweep/theirs"
    folder.mkdir(parents=True)

    def write(**fields):
        values = {"config_name": "train", "overrides": [], "config_dir": None, "jobs": {}, "started": "", "gancli": "0.1"}
        (folder / "sweep.json").write_text(json.dumps(values | fields))
        return folder

    return write


@pytest.mark.parametrize("override", later(REFUSED, first=16))
def test_what_a_record_may_not_ask_for(override, record, tmp_path):
    canary = tmp_path / "canary"
    folder = record(overrides=["seed=0", override.replace("CANARY", str(canary))])
    with pytest.raises(UserError, match="not taken from a file"):
        bridge.run(task, "train", ["resume=theirs"], resumes_sweeps=True)
    assert not canary.exists() and [path.name for path in folder.iterdir()] == ["sweep.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs"]


def test_what_a_record_may_ask_for(record):
    folder = record(overrides=TAKEN)
    assert continued_sweep("train", ["resume=theirs"]) == [*TAKEN, f"hydra.sweep.dir={folder}"]


def test_a_key_that_is_given_again_is_the_users_word(record):
    folder = record(overrides=["seed=0", "hydra.launcher.setup=[evil]"])
    given = ["resume=theirs", "hydra.launcher.setup=[good]"]
    assert continued_sweep("train", given) == ["seed=0", "hydra.launcher.setup=[good]", f"hydra.sweep.dir={folder}"]


def test_a_folder_of_options_is_given_again(record, tmp_path):
    folder = record(overrides=["seed=0"], config_dir=str(tmp_path / "theirs\x1b[2J"))
    with pytest.raises(UserError, match="give --config-dir again") as caught:
        continued_sweep("train", ["resume=theirs"])
    assert "\x1b" not in str(caught.value)
    assert continued_sweep("train", ["resume=theirs"], tmp_path) == ["seed=0", f"hydra.sweep.dir={folder}"]


@pytest.mark.parametrize("name", ["../outside/a", "/outside", "..", ".", "", "a/../../b", "a\\b", "a\n", "a" * 300, "a//b"])
def test_jobs_lie_inside_the_sweep(name, record):
    folder = record(overrides=["seed=0"], jobs={name: ["seed=0"]})
    assert read_sweep(folder) is None and list_runs(folder) == []
    with pytest.raises(UserError, match="is not the record"):
        continued_sweep("train", ["resume=theirs"])
    with pytest.raises(UserError, match="outside of the sweep"):
        job_folder(folder, name)


def test_jobs_do_not_lie_behind_links(record, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    folder = record(overrides=["seed=0"], jobs={"a": ["seed=0"]})
    (folder / "a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="outside of the sweep"):
        continued_sweep("train", ["resume=theirs"])


@pytest.mark.parametrize("fields", [{"jobs": ["a"]}, {"jobs": {"a": "seed=0"}}, {"overrides": "seed=0"}, {"overrides": [1]},
                                    {"config_name": "../x"}, {"config_dir": 1}, {"started": 10**400}])
def test_fields_of_other_kinds_make_it_no_record(fields, record):
    folder = record(**fields)
    assert read_sweep(folder) is None and list_runs("outputs") == []


def test_a_record_comes_back(tmp_path):
    written = SweepRecord("train", ["seed=0,1"], jobs={"0": ["seed=0"], "gan/a=b": ["seed=1"]})
    write_sweep(tmp_path, written)
    assert read_sweep(tmp_path) == written
