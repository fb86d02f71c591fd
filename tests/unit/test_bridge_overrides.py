"""The bridge to Hydra: paths on the command line, near matches, what papers prescribe, flags."""

import os
import sys
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from systems import later

from gancli.cli import bridge
from gancli.config import groups
from gancli.config.compose import check_sweep, compose, keys
from gancli.config.explain import near_keys
from gancli.config.marks import settled
from gancli.config.paths import quote_paths
from gancli.engine.options import SCHEDULES, OptimizerOptions, TrainerOptions
from gancli.errors import UsageError
from gancli.options import typed
from gancli.sweeps.jobs import job
from gancli.sweeps.sweeping import SWEEPS, sweep_name

AWKWARD = ("a b", "lr=1e-4", "x(1)", "it's", "comma,s", "50%", "[draft]", "{a}", "tail\\",
           "q\"q", "~tilde", "a:b", "é")

seen: dict = {}


@job
def remember(cfg):
    """Keep what arrived."""
    seen["cfg"] = cfg


@job
def fail(cfg):
    """Fail as a user's mistake does."""
    raise UsageError("no such thing")


@pytest.fixture(autouse=True)
def empty_cwd(tmp_path, monkeypatch):
    """Launch from an empty folder."""
    monkeypatch.chdir(tmp_path)
    seen.clear()
    return tmp_path


def composed(*overrides: str, multirun: bool = False):
    """Return the configuration that a task gets."""
    bridge.run(remember, "train", list(overrides), multirun=multirun)
    return seen["cfg"]


@pytest.mark.parametrize("multirun", [False, True])
def test_any_path_works_unquoted(multirun, tmp_path):
    for name in AWKWARD:
        (tmp_path / name).mkdir()
        cfg = compose("sample", quote_paths([f"out={name}", f"ckpt={name}"], multirun))
        assert (cfg.out, cfg.ckpt) == (str(tmp_path / name), str(tmp_path / name))
    assert len(AWKWARD) == 13


def test_awkward_paths_survive_both_modes(tmp_path):
    assert composed("data_dir=a b,(c)=~\\")["data_dir"] == f"{tmp_path}/a b,(c)=~\\"


def test_paths_are_absolute_and_names_of_runs_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    (tmp_path / "run").mkdir()
    quoted = quote_paths(["out=~/x.png", "ckpt=3fa2c1@100", "ckpt=run@100", "resume=20261122", "run_dir=null", "n=3",
                          "dataset.path='already quoted'", "data_dir=${oc.env:GAN_DATA}"], multirun=False)
    assert quoted == ["out='/home/someone/x.png'", "ckpt='3fa2c1@100'", f"ckpt='{tmp_path}/run@100'",
                      "resume='20261122'", "run_dir=null", "n=3", f"dataset.path='{tmp_path}/already quoted'",
                      "data_dir=${oc.env:GAN_DATA}"]


def test_a_kind_of_mask_is_a_path_where_there_is_one(tmp_path):
    (tmp_path / "there").mkdir()
    given = ["mask=[1,2,3,4]", "mask=center", "mask=there", "strokes=a b.json", "style=[a.png]"]
    assert quote_paths(given, multirun=False) == [
        "mask=[1,2,3,4]", "mask='center'", f"mask='{tmp_path}/there'",
        f"strokes='{tmp_path}/a b.json'", "style=[a.png]"]


def test_commas_sweep_over_paths_only_in_a_multirun(tmp_path):
    assert quote_paths(["data_dir=a,b"], multirun=True) == [f"data_dir='{tmp_path}/a','{tmp_path}/b'"]
    assert quote_paths(["data_dir=a,b"], multirun=False) == [f"data_dir='{tmp_path}/a,b'"]
    (tmp_path / "a,b").mkdir()
    assert quote_paths(["data_dir=a,b"], multirun=True) == [f"data_dir='{tmp_path}/a,b'"]
    assert quote_paths(["ckpt=choice(a,b)"], multirun=True) == ["ckpt=choice(a,b)"]


MISTAKES = {
    "model=dcgn": "There is no model called dcgn; did you mean dcgan",
    "loss=wgangp": "did you mean wgan_gp",
    "modle=dcgan": "There is no key modle; did you mean model?",
    "optimzer.lr=1": "did you mean optimizer.lr",
    "trainer.kimgs=3": "There is no key trainer.kimgs; did you mean trainer.kimg?",
    "kimg=3": "There is no key kimg; did you mean trainer.kimg",
    "zzzz=3": "`gan train --cfg job` prints every key",
    "dcgan": "did you mean model=dcgan?",
    "=3": "not of the form KEY=VALUE",
    "device=a(b": "quotes",
    "model=3": "There is no model called 3; there is ",
    "model=[dcgan,b]": "There is no model called b",
    "seed=1,2": "add -m",
    "~trainer": "cannot be left out",
    "~nothing": "There is no key nothing",
    "+extra=1": "There is no key extra",
    "optimizer.lr=${nowhere}": "optimizer.lr: Interpolation key 'nowhere' not found",
    "seed.x=1": "There is no key seed.x",
    "hydra/launcher=nope": "There is no hydra/launcher called nope",
}


@pytest.mark.parametrize("override", later(MISTAKES, first=8))
def test_mistakes_name_what_is_wrong_and_create_nothing(override, tmp_path):
    with pytest.raises(UsageError) as caught:
        composed(override)
    message = str(caught.value)
    assert MISTAKES[override] in message
    assert "\n" not in message and len(message) < 300
    assert not list(tmp_path.iterdir())


def test_mistakes_are_many():
    assert len(MISTAKES) == 19


@pytest.mark.parametrize("override", ["model=dcgan,dcgn", "trainer.kimgs=1,2", "loss=wgan,nope seed=1,2"])
def test_a_sweep_over_what_does_not_exist_creates_nothing(override, tmp_path):
    with pytest.raises(UsageError, match="There is no"):
        composed(*override.split(), multirun=True)
    assert not list(tmp_path.iterdir())


def test_process_state_is_restored_and_errors_arrive_raw(monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    argv = list(sys.argv)
    for _ in range(2):
        with pytest.raises(UsageError, match="no such thing"):
            bridge.run(fail, "train", [])
    assert sys.argv == argv and "HYDRA_FULL_ERROR" not in os.environ


@pytest.mark.parametrize("flags", [{"resolve": True}, {"package": "loss"}, {"cfg": "job", "multirun": True},
                                   {"info": "everything"}, {"config_dir": Path("nowhere")}])
def test_flags_that_make_no_sense_are_refused(flags):
    with pytest.raises(UsageError):
        bridge.run(remember, "train", [], **flags)


def test_near_keys_prefer_the_same_last_part():
    known = ["optimizer.lr", "optimizer.generator.lr", "trainer.kimg", "seed"]
    assert near_keys("lr", known) == ["optimizer.lr", "optimizer.generator.lr"]
    assert near_keys("traner.kimg", known) == ["trainer.kimg"]
    assert near_keys("banana", known) == []


def test_sweep_directory_is_literal_and_unique():
    assert check_sweep("train", ["seed=1,2"]).folder == SWEEPS
    assert check_sweep("train", ["seed=1,2", "hydra.sweep.dir=elsewhere"]).folder == Path("elsewhere")
    assert len({sweep_name() for _ in range(20)}) == 20


def optimizer_of(*overrides: str) -> dict:
    return OmegaConf.to_container(compose("train", list(overrides)), resolve=True)["optimizer"]


def test_paper_optimizer_of_the_model():
    found = optimizer_of("model=gan")
    assert (found["name"], found["momentum"], found["betas"]) == ("sgd", 0.5, [0.5, 0.999])
    assert found["lr"] == compose("train", ["model=gan"]).model.recipe.lr


def test_paper_optimizer_of_the_loss_takes_nothing_from_the_model():
    found = optimizer_of("model=gan", "loss=wgan")
    assert (found["name"], found["lr"], found["momentum"], found["discriminator"]["lr"]) == ("rmsprop", 5e-5, 0.0, None)
    found = optimizer_of("model=gan", "loss=wgan_gp")
    assert (found["name"], found["lr"], found["betas"]) == ("adam", 1e-4, [0.0, 0.9])
    assert compose("train", ["model=gan", "loss=wgan_gp"]).trainer.discriminator_turns == 5


def test_paper_values_do_not_go_with_another_optimizer():
    assert optimizer_of("model=gan", "optimizer.name=adam")["lr"] == 2e-4
    assert optimizer_of("model=gan", "optimizer.name=sgd")["lr"] == optimizer_of("model=gan")["lr"]


def test_lr_of_the_command_line_holds_for_every_player():
    recipe = "model.recipe.discriminator_lr=0.3"
    assert optimizer_of("model=gan", f"++{recipe}")["discriminator"]["lr"] == 0.3
    assert optimizer_of("model=gan", f"++{recipe}", "optimizer.lr=0.2")["discriminator"]["lr"] is None


def test_a_schedule_belongs_to_the_run_and_not_to_the_optimizer():
    found = optimizer_of("model=cyclegan", "loss=wgan_gp")["schedule"]
    assert found["name"] == "linear" and found["name"] in SCHEDULES


def test_optimizer_and_trainer_files_match_their_schemas():
    names = list(groups.options("optimizer"))
    assert names == ["adam", "adamw", "paper", "rmsprop", "sgd"]
    for name in names:
        cfg = compose("train", [f"optimizer={name}"])
        typed(OptimizerOptions, cfg.optimizer, "optimizer")
        assert list(cfg.optimizer) == list(OptimizerOptions.__dataclass_fields__)
        assert name == "paper" or cfg.optimizer.name == name
    cfg = compose("train", [])
    typed(TrainerOptions, cfg.trainer, "trainer")
    assert list(cfg.trainer) == list(TrainerOptions.__dataclass_fields__)


def test_groups_of_the_command_and_descriptions():
    assert groups.groups("train")[:8] == ["loss", "augment", "evaluation", "dataset", "optimizer", "trainer", "model",
                                            "experiment"]
    assert "optimizer.schedule.warmup_kimg" in keys(compose("train", []))
    for group in ("model", "loss", "augment", "dataset", "optimizer", "trainer", "evaluation"):
        assert all(groups.options(group).values()), group


def test_config_dir_adds_options_and_cannot_replace(tmp_path):
    for name in ("mine", "digits"):
        path = tmp_path / "conf dir" / "dataset" / f"{name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("# Mine.\nname: mine\n")
    folder = tmp_path / "conf dir"
    assert groups.options("dataset", folder)["mine"] == "Mine."
    assert groups.options("dataset", folder)["digits"] != "Mine."
    assert compose("train", ["dataset=mine"], folder).dataset.name == "mine"
    assert compose("train", ["dataset=digits"], folder).dataset.name == "digits"
    bridge.run(remember, "train", ["dataset=mine"], config_dir=folder)
    assert seen["cfg"].dataset.name == "mine"


def test_a_group_with_a_plus_is_chosen_as_in_hydra():
    given = settled("train", ["+experiment=ring_modes", "+optimizer.lr=1e-4", "seed=1"])
    assert given == ["experiment=ring_modes", "+optimizer.lr=1e-4", "seed=1"]
    cfg = compose("train", given[:1])
    assert (cfg.dataset.name, cfg.model.name) == ("ring", "gan")
    with pytest.raises(UsageError, match="no key experimen; did you mean experiment"):
        settled("train", ["+experimen=ring_modes"])
