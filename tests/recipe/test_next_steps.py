"""Every command that a run's last lines and gan show print is run: by kinds of models, with and without a held-out part."""

import re
import shlex

import numpy as np
import pytest
from PIL import Image
from running import warm_gan

TINY = ("trainer.batch_size=4", "trainer.kimg=0.008", "evaluation.kimg=null", "device=cpu")
FOLDER = ("dataset=folder", "dataset.path=pictures", "dataset.size=16")
KINDS = {  # what a run is trained with, and the command that its last lines name
    "samples": (("model=cgan", "model.width=4", "dataset.size=8"), "sample"),
    "translates": (("model=cyclegan", "model.width=2", "model.blocks=1", "dataset=unpaired", "dataset.path=pairs",
                    "dataset.size=16"), "translate"),
    "fills": (("model=context_encoder", "model.width=4", *FOLDER), "inpaint"),
    "enlarges": (("model=srgan", "model.width=4", "model.blocks=1", "model.pretrain_kimg=null", *FOLDER,
                  "dataset.holdout=0.5"), "upscale"),
    "blends": (("model=gpgan", "model.width=4", "model.bottleneck=8", *FOLDER), "blend"),
    "encodes": (("model=autoencoder", "model.units=8", "dataset.size=8"), "reconstruct"),
    "writes": (("model=seqgan", "dataset=names", "model.likelihood_kimg=0.004", "model.discriminator_kimg=0",
                "trainer.discriminator_turns=1"), "sample"),
}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A folder with a few pictures and two domains."""
    work, random = tmp_path_factory.mktemp("work"), np.random.default_rng(0)
    for folder in ("pictures", "pairs/day", "pairs/night"):
        (work / folder).mkdir(parents=True)
        for number in range(8):
            Image.fromarray(random.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(work / f"{folder}/{number}.png")
    for number, name in enumerate(("SOURCE", "TARGET", "MASK")):
        (work / f"pictures/{number}.png").rename(work / f"{name}.png")
    return work


@pytest.mark.parametrize("kind", KINDS)
def test_every_printed_command_runs(kind, work):
    overrides, named = KINDS[kind]
    trained = warm_gan("train", *overrides, *TINY, f"run_dir={kind}", cwd=work, OMP_NUM_THREADS="1")
    assert re.findall(r"^(?:See more|All of it): +gan (\w+) ", trained.stderr, re.MULTILINE) == [named, "show"]
    shown = warm_gan("show", kind, cwd=work)
    printed = {shlex.split(line)[1]: shlex.split(line)[1:] for line in
               re.findall(r"\bgan \w+ .*", trained.stderr + shown.stdout)}
    assert {named, "show", "diagnose", "train"} <= set(printed) and len(KINDS) == 7
    for name, words in printed.items():
        if name != "train":
            more = ["n=16", "metrics=[swd]"] if name == "evaluate" and kind in ("samples", "translates") else []
            if name == "evaluate" and not more:
                continue  # test_documentation.py measures the others
            warm_gan(*words, *more, cwd=work, OMP_NUM_THREADS="1")
