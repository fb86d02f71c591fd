"""Style-based systems and r3gan: continued they end as if they had never stopped; two ranks play the game of one.

The settings of the papers in conf/experiment compose, and have the papers' networks.
"""

import json
import re

import pytest
import torch
from planning import plan, resume, run
from systems import CONF, small
from test_toys_resumed import StopAfter

from gancli.config.compose import compose
from gancli.engine import training
from gancli.plan.memory import blueprint
from gancli.plan.run import plan_run
from gancli.runs.checkpoint import CheckpointFolder, read

COMMON = ("dataset.size=16", "dataset.limit=64", "trainer.batch_size=8", "device=cpu", "trainer.precision=fp32",
          "evaluation.kimg=null", "trainer.record_kimg=0.008", "trainer.sample_kimg=1", "trainer.checkpoint_kimg=1",
          "trainer.kimg=0.16")
GAMES = {
    "lazy terms with ada": ("model=stylegan2", *small("stylegan2", {"conditional": True}), "augment=ada", "augment.p=0.3",
                            "augment.kimg=0.5", "trainer.reuse_generated=false"),
    "growth": ("model=stylegan", *small("stylegan", {"stable_kimg": 0.04, "fade_kimg": 0.08})),
    "burn-in": ("model=r3gan", *small("r3gan")),
}
TIMES = re.compile(r"speed/.*|time/.*|memory/.*|diagnosis/.*|images")


def last(run_dir):
    return read(CheckpointFolder(run_dir).latest()).tensors


@pytest.mark.parametrize("game", GAMES)
def test_a_run_continued_twice_equals_the_uninterrupted_one_bit_for_bit(game, tmp_path, monkeypatch):
    settings = (*GAMES[game], *COMMON)
    run(tmp_path / "whole", *settings)
    for stop in (3, 8):  # after 3 and 11 of 20 rounds: before and in a fade, between two lazy turns
        monkeypatch.setattr(StopAfter, "rounds", stop)
        monkeypatch.setattr("gancli.engine.training.StopRequest", StopAfter)
        begun = (tmp_path / "parts").exists()
        made = resume(tmp_path / "parts") if begun else plan(tmp_path / "parts", *settings)
        assert training.train(made).status == "stopped"
    if game == "growth":
        assert 1 < last(tmp_path / "parts")["model/growth"] < 2
    monkeypatch.undo()
    assert training.train(resume(tmp_path / "parts")).status == "finished"
    whole, parts = last(tmp_path / "whole"), last(tmp_path / "parts")
    assert whole.keys() == parts.keys() and not [name for name in whole if not torch.equal(whole[name], parts[name])]
    if game == "lazy terms with ada":
        assert whole["model/objective.augment.p"] != 0.3 and whole["model/path_length"] != 0
        assert whole["model/mean_style"].any()


GROUPS = {"lazy terms with ada": ("model.stddev_group=8",), "burn-in": (),  # groups of a whole batch
          "growth": ("model.stddev_group=8", "model.stable_kimg=0.016", "model.fade_kimg=0.024")}


@pytest.mark.parametrize("game", GAMES)
def test_two_ranks_have_the_figures_of_one(game, tmp_path):
    figures = []
    settings = [word for word in GAMES[game] if "conditional" not in word]  # half of a slice has other labels than half of all
    for ranks in (1, 2):
        run(tmp_path / str(ranks), *settings, *COMMON, *GROUPS[game], "trainer.kimg=0.048", f"devices={ranks}")
        lines = [json.loads(line) for line in (tmp_path / str(ranks) / "stats.jsonl").read_text().splitlines()]
        figures.append([{key: value for key, value in line.items() if not TIMES.fullmatch(key)} for line in lines])
    assert len(figures[0]) == 6 and len(figures[0][0]) >= 8  # more rounds magnify the rounding: AdaIN begins with flat maps
    for tick, (one, two) in enumerate(zip(*figures, strict=True)):  # rounding grows fourfold a tick, on some machines
        assert one == pytest.approx(two, rel=5e-4 * 4**tick, abs=1e-4)


EXPERIMENTS = {"stylegan2-cifar": (("nonsaturating", "ada"), (20_720_641, 19_947_539)),
               "stylegan2-auto": (("nonsaturating", "ada"), (23_406_849, 22_238_990)),  # of gray images of 64x64
               "r3gan-cifar10": (("rpgan", "none"), (21_280_512, 20_781_952))}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_settings_of_papers(name):
    assert {path.stem for path in (CONF / "experiment").glob("*.yaml")} >= set(EXPERIMENTS) and len(EXPERIMENTS) == 3
    given = [f"experiment={name}", "dataset=digits", "device=cpu", "trainer.memory_check=false"]
    given += ["dataset.size=64"] if name == "stylegan2-auto" else ["dataset.size=32", "dataset.channels=3"]
    made = plan_run(compose("train", given), given)
    (loss, augment), counts = EXPERIMENTS[name]
    assert (made.loss.name, made.augment.name) == (loss, augment)
    model = blueprint(made)
    assert all(parameter.is_meta for parameter in model.parameters())
    assert tuple(sum(p.numel() for network in model.players[player] for p in network.parameters())
                 for player in ("discriminator", "generator")) == counts
