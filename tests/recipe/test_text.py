"""Text from end to end, by the commands of docs/text.md: training, going on in each phase, sampling, measuring."""

import json
import re
import shlex

import pytest
import torch
from planning import resume, run
from running import ROOT
from systems import small

from gancli.config.compose import compose
from gancli.engine.training import train
from gancli.errors import UserError
from gancli.explore.evaluate import evaluate
from gancli.explore.interpolate import interpolate
from gancli.explore.sample import sample
from gancli.runs.checkpoint import CheckpointFolder, read

SMALL = (*small("seqgan"), "trainer.batch_size=4", "trainer.discriminator_turns=3", "trainer.record_kimg=0.004", "device=cpu",
         "trainer.sample_kimg=0.04", "trainer.checkpoint_kimg=0.012", "trainer.keep=20", "evaluation.kimg=0.04",
         "evaluation.n=64", "trainer.kimg=0.08")
ORACLE = ("dataset.vocabulary=9", "dataset.count=200", "dataset.store=memory")
RUNS = ("RUN", "captions", "oracle")


def commands(name: str) -> list[list[str]]:
    """Return the arguments of the page's commands of that name."""
    lines = re.findall(rf"^gan {name} (.*)$", (ROOT / "docs/text.md").read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with captions and a trained run of each data set."""
    home, patch = tmp_path_factory.mktemp("home"), pytest.MonkeyPatch()
    patch.chdir(home)
    (home / "captions.txt").write_text("".join(f"a {color} {thing} in the {place}\n" for color in ("red", "blue", "gray")
                                               for thing in ("cat", "bird", "house") for place in ("garden", "sky", "snow")))
    for given, name in zip(commands("train"), RUNS, strict=True):
        run(home / f"outputs/train/{name}", *given, *SMALL, *(ORACLE if name == "oracle" else ()))
    yield home
    patch.undo()


@pytest.mark.parametrize(("name", "metrics"), [
    ("RUN", {"bleu4", "self_bleu4", "ms_jaccard4"}), ("captions", {"bleu4", "ms_jaccard2"}), ("oracle", {"oracle_nll"})])
def test_runs_record_phases_figures_and_texts(home, name, metrics):
    folder = home / f"outputs/train/{name}"
    log = (folder / "log.txt").read_text()
    assert all(f"Phase: {phase} from" in log for phase in ("likelihood", "discriminator", "adversarial"))
    lines = [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]
    assert {f"metrics/{metric}" for metric in metrics} <= {key.partition("(")[0] for line in lines for key in line}
    shown = (folder / "samples/kimg-000000_080.txt").read_text().splitlines()
    assert len(shown) == 64 and len(list((folder / "samples").iterdir())) == 3
    symbols, separator = read(CheckpointFolder(folder).latest()).spec["vocabulary"], "" if name == "RUN" else " "
    assert all(set(text.split(separator) if separator else text) <= set(symbols) for text in shown)
    assert (folder / "oracle.safetensors").exists() == (name == "oracle")
    assert b"samples/text_summary" in b"".join(path.read_bytes() for path in folder.glob("events*"))


def test_commands_of_the_page(home):
    for given in commands("sample"):
        assert [path.name for path in sample(compose("sample", given))] == ["samples.txt"]
    texts = (home / "samples.txt").read_text().splitlines()
    assert len(texts) == 1000 and len(set(texts)) > 100 and max(map(len, texts)) <= 11
    reports = [evaluate(compose("evaluate", [*given, "n=64"])) for given in commands("evaluate")]
    assert {each.figure for each in reports[0].evaluated[0].measured} >= {"nll", "bleu4", "ms_jaccard4"}
    curve = [each.measured[0].value for each in reports[1].evaluated]
    assert len(curve) == len(CheckpointFolder(home / "outputs/train/RUN").list()) >= 6 and len(set(curve)) >= 3


def test_text_is_neither_a_picture_nor_a_walk(home):
    for command, name, given, words in (
            (sample, "sample", ["out=grid.png"], "end out= in .txt or .npz"),
            (sample, "sample", ["out=texts/"], "of which texts"),
            (interpolate, "interpolate", [], "makes text"), (evaluate, "evaluate", ["metrics=[fid]"], "holds tokens"),
            (evaluate, "evaluate", ["metrics=[oracle_nll]"], "dataset=oracle")):
        with pytest.raises(UserError, match=words):
            command(compose(name, ["ckpt=RUN", *given]))
    with pytest.raises(UserError, match="other symbols"):
        evaluate(compose("evaluate", ["ckpt=captions", "metrics=[bleu]", "n=64", f"dataset.path={ROOT / 'README.md'}"]))
    assert not (home / "grid.png").exists() and not (home / "texts").exists()


@pytest.mark.parametrize("kept", ["kimg-000000_012", "kimg-000000_024", "kimg-000000_048"])
def test_a_run_that_goes_on_in_any_phase_ends_as_if_it_had_never_stopped(home, tmp_path, kept):
    folder, whole = tmp_path / "run", CheckpointFolder(home / "outputs/train/RUN")
    run(folder, *commands("train")[0], *SMALL)
    for path in CheckpointFolder(folder).list():
        if path.stem > kept:
            path.unlink()
    (folder / "status.json").unlink()
    assert CheckpointFolder(folder).latest().stem == kept
    train(resume(folder))
    one, other = (read(each.latest()).tensors for each in (whole, CheckpointFolder(folder)))
    assert one.keys() == other.keys() and not [name for name in one if not torch.equal(one[name], other[name])]
