"""Text by the real command line, as docs/text.md has it: training, going on in each phase, sampling, measuring."""

import json
import re
import shlex

import pytest
import torch
from running import ROOT, gan
from systems import small

from gancli.runs.checkpoint import CheckpointFolder, read

SMALL = (*small("seqgan"), "trainer.batch_size=4", "trainer.discriminator_turns=3", "trainer.record_kimg=0.004", "device=cpu",
         "trainer.sample_kimg=0.04", "trainer.checkpoint_kimg=0.02", "evaluation.kimg=0.04", "evaluation.n=64",
         "trainer.kimg=0.08")
ORACLE = ("dataset.vocabulary=9", "dataset.count=200", "dataset.store=memory")


def commands() -> list[list[str]]:
    """Return the commands of the page as argument vectors."""
    lines = re.findall(r"^gan (.*)$", (ROOT / "docs/text.md").read_text(), re.MULTILINE)
    return [shlex.split(line) for line in lines]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with captions and a trained run of each data set."""
    home = tmp_path_factory.mktemp("home")
    (home / "captions.txt").write_text("".join(f"a {color} {thing} in the {place}\n" for color in ("red", "blue", "gray")
                                               for thing in ("cat", "bird", "house") for place in ("garden", "sky", "snow")))
    training = [each for each in commands() if each[0] == "train"]
    assert len(training) == 3
    for given, run in zip(training, ("RUN", "captions", "oracle"), strict=True):
        more = ORACLE if run == "oracle" else ()
        gan(*given, *SMALL, *more, f"run_dir=outputs/train/{run}", cwd=home, OMP_NUM_THREADS="1")
    return home


def figures(home, run):
    return [json.loads(line) for line in (home / f"outputs/train/{run}/stats.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("run", "metrics"), [
    ("RUN", {"bleu4", "self_bleu4", "ms_jaccard4"}), ("captions", {"bleu4", "ms_jaccard2"}), ("oracle", {"oracle_nll"})])
def test_runs_record_phases_figures_and_texts(home, run, metrics):
    folder, lines = home / f"outputs/train/{run}", figures(home, run)
    log = (folder / "log.txt").read_text()
    assert all(f"Phase: {phase} from" in log for phase in ("likelihood", "discriminator", "adversarial"))
    measured = {name.partition("(")[0] for line in lines for name in line}
    assert {f"metrics/{name}" for name in metrics} <= measured
    shown = (folder / "samples/kimg-000000_080.txt").read_text().splitlines()
    assert len(shown) == 64 and len(list((folder / "samples").iterdir())) == 3
    symbols = read(CheckpointFolder(folder).latest()).spec["vocabulary"]
    separator = "" if run == "RUN" else " "
    assert all(set(text.split(separator) if separator else text) <= set(symbols) for text in shown)
    assert (folder / "oracle.safetensors").exists() == (run == "oracle")
    assert b"samples/text_summary" in b"".join(path.read_bytes() for path in folder.glob("events*"))


@pytest.mark.parametrize("given", [each for each in commands() if each[0] != "train"], ids=" ".join)
def test_commands_of_the_page_run(home, given):
    done = gan(*given, cwd=home)
    assert done.stdout.strip()
    if given[0] == "sample":
        texts = (home / "samples.txt").read_text().splitlines()
        assert len(texts) == 1000 and len(set(texts)) > 10 and max(map(len, texts)) <= 11


def test_text_is_neither_a_picture_nor_a_walk(home):
    for given, words in ((("sample", "out=grid.png"), "end out= in .txt or .npz"), (("interpolate",), "makes text"),
                         (("evaluate", "metrics=[fid]"), "holds tokens"),
                         (("evaluate", "metrics=[oracle_nll]"), "dataset=oracle")):
        done = gan(*given[:1], "ckpt=RUN", *given[1:], cwd=home, check=None)
        assert done.returncode in (1, 2) and words in done.stderr and "Traceback" not in done.stderr
    other = gan("evaluate", "ckpt=captions", "metrics=[bleu]", "n=64", f"dataset.path={ROOT / 'README.md'}", cwd=home, check=1)
    assert "other symbols" in other.stderr


def test_a_run_that_stopped_in_each_phase_ends_as_if_it_had_not(home, tmp_path):
    """Killed runs begin again at checkpoints of every phase."""
    whole = CheckpointFolder(home / "outputs/train/RUN")
    for kept in ("kimg-000000_012", "kimg-000000_024", "kimg-000000_048"):
        folder = tmp_path / kept
        gan("train", "model=seqgan", *SMALL, "trainer.checkpoint_kimg=0.012", "trainer.keep=20", f"run_dir={folder}",
            cwd=tmp_path, OMP_NUM_THREADS="1")
        for path in CheckpointFolder(folder).list():
            if path.stem > kept:
                path.unlink()
        assert CheckpointFolder(folder).latest().stem == kept
        status = json.loads((folder / "status.json").read_text())
        (folder / "status.json").write_text(json.dumps(status | {"status": "failed"}))
        done = gan("train", f"resume={folder}", cwd=tmp_path, OMP_NUM_THREADS="1")
        assert "Continuing from 0.0" in done.stderr + done.stdout
        one, other = (read(each.latest()).tensors for each in (whole, CheckpointFolder(folder)))
        assert one.keys() == other.keys() and not [name for name in one if not torch.equal(one[name], other[name])]
