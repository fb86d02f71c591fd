"""Everything a user can get wrong ends with a sentence and exit code 1 or 2, and leaves nothing behind."""

import errno
import json
import os
import pickle
import struct
from pathlib import Path

import pytest
import torch
from PIL import Image
from planning import SMALL_NETWORKS, TINY, run
from small_runs import save_run
from systems import later
from typer.testing import CliRunner

from gancli.cli import main
from gancli.runs.checkpoint import CheckpointFolder

TRAIN = {  # what is wrong: (arguments of `gan train` and `gan validate`, exit code, what the sentence says)
    "unknown group option": (["model=dcgn"], 2, "no model called dcgn; did you mean dcgan"),
    "unknown loss": (["loss=wgangp"], 2, "did you mean wgan_gp"),
    "unknown data set": (["dataset=fashionmnist"], 2, "did you mean fashion_mnist"),
    "unknown key": (["trainer.kimgs=3"], 2, "did you mean trainer.kimg"),
    "unknown key of a model": (["model=dcgan", "model.units=3"], 2, "There is no key model.units"),
    "wrong type": (["trainer.kimg=many"], 2, "trainer.kimg: Value 'many'"),
    "fraction for a whole number": (["trainer.batch_size=1.5"], 2, "trainer.batch_size"),
    "out of range": (["trainer.kimg=-1"], 2, "trainer.kimg must be greater than 0"),
    "bad rate": (["optimizer.lr=-1"], 2, "optimizer.lr must be at least 0"),
    "bad seed": (["seed=-1"], 2, "seed must be at least 0"),
    "two lengths": (["trainer.kimg=1", "trainer.epochs=1"], 2, "both state the length"),
    "smoothing without a target": (["loss=wgan_gp", "loss.label_smoothing=0.1"], 2, "set loss.label_smoothing=0"),
    "augmented points": (["model=gan", "dataset=ring", "augment=ada"], 2, "holds points: give augment=noise"),
    "ada without a zero of the logits": (["loss=wgan_gp", "augment=ada"], 2, "give augment.target=null augment.p=0.3"),
    "ada on two channels": (["augment=ada", "dataset.channels=2"], 2, "augment.policy=[blit,geometry]"),
    "unknown change of images": (["augment=diffaugment", "augment.policy=[colr]"], 2, "did you mean color"),
    "no change of images": (["augment=diffaugment", "augment.policy=[]"], 2, "each once"),
    "a norm of weights at 0": (["model=r3gan", "loss.spectral_norm=true"], 2, "add loss.orthogonal_init=true"),
    "two bounds on the weights": (["loss=wgan", "loss.spectral_norm=true"], 2, "set loss.weight_clip=null"),
    "parts that do not divide": (["trainer.batch_size=10", "trainer.accumulate=3"], 2, "give a multiple"),
    "missing folder": (["dataset=folder", "dataset.path=nowhere", "dataset.size=32"], 1, "nowhere"),
    "no folder": (["dataset=folder"], 1, "give dataset.path=FOLDER"),
    "empty folder": (["dataset=folder", "dataset.path={empty}", "dataset.size=32"], 1, "no image"),
    "a file for a folder": (["dataset=folder", "dataset.path={file}", "dataset.size=32"], 1, "file.txt"),
    "images too small": (["model=dcgan", "dataset.size=4"], 2, "at least 8"),
    "points for an image model": (["model=dcgan", "dataset=ring"], 1, "use model=gan"),
    "no such kernel": (["model=dcgan", "model.kernel=3"], 2, "model.kernel must be 4 or 5, not 3"),
    "labels needed": (["model=cgan", "dataset=folder", "dataset.path={pictures}", "dataset.size=8",
                       "trainer.batch_size=2"], 1, "needs labels"),
    "two domains needed": (["model=cyclegan", "dataset=digits"], 1, "dataset=unpaired"),
    "unknown device": (["device=gpu"], 1, "is not a device"),
    "unavailable device": (["device=cuda:7"], 1, "is not available here"),
    "no such run": (["resume=nothing"], 1, "no run called nothing"),
    "directory of another run": (["run_dir={run}", "seed=5"], 1, "run of other settings"),
    "directory is a file": (["run_dir={file}"], 1, "is a file"),
    "changed settings": (["resume={run}", "optimizer.lr=0.5", "trainer.kimg=1"], 1, "optimizer.lr is"),
    "two directories": (["resume={run}", "run_dir=other"], 2, "leave run_dir= out"),
    "malformed": (["dcgan"], 2, "did you mean model=dcgan"),
}
READ = {  # the same for `gan sample`
    "missing": (["ckpt=nowhere"], 1, "nowhere"),
    "not given": ([], 2, "ckpt"),
    "truncated": (["ckpt={truncated}"], 1, "truncated"),
    "a pickle": (["ckpt={pickle}"], 1, "not a checkpoint of gancli"),
    "a torch file": (["ckpt={torch}"], 1, "not a checkpoint of gancli"),
    "a newer version": (["ckpt={newer}"], 1, "install the newer gancli"),
    "weights of another model": (["ckpt={other_model}"], 1, "of another model"),
    "a target in its config": (["ckpt={target}"], 1, "_target_"),
    "unknown label": (["ckpt={run}", "label=seven"], 1, "label"),
    "no batch": (["ckpt={run}", "batch_size=0"], 2, "batch_size must be at least 1"),
    "unknown ending": (["ckpt={run}", "out=grid.bmp"], 2, ".bmp"),
    "unavailable device": (["ckpt={run}", "device=cuda:7"], 1, "is not available here"),
    "unknown key": (["ckpt={run}", "sed=1"], 2, "did you mean seed"),
}


class Payload:
    """Runs when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


def rewrite(source: Path, target: Path, change) -> Path:
    """Copy a checkpoint with its own header fields changed."""
    data = source.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    table = json.loads(data[8:8 + length])
    fields = json.loads(table["__metadata__"]["gancli"])
    change(fields)
    table["__metadata__"]["gancli"] = json.dumps(fields)
    text = json.dumps(table).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length:])
    return target


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, Path]:
    """Folders, runs and checkpoints, good and bad."""
    root = tmp_path_factory.mktemp("places")
    (root / "empty").mkdir()
    (root / "file.txt").write_text("text")
    (root / "pictures").mkdir()
    for i in range(4):
        Image.new("L", (8, 8), i).save(root / f"pictures/{i}.png")
    run(root / "run", *TINY, *SMALL_NETWORKS["dcgan"], "trainer.kimg=0.008")
    good = CheckpointFolder(root / "run").latest()
    (root / "truncated.safetensors").write_bytes(good.read_bytes()[:-100])
    (root / "pickle.safetensors").write_bytes(pickle.dumps(Payload(root / "executed")))
    torch.save({"model": Payload(root / "executed")}, root / "torch.safetensors")
    rewrite(good, root / "newer.safetensors", lambda fields: fields.update(format=99, gancli="9.0"))
    rewrite(good, root / "target.safetensors", lambda fields: fields["config"]["model"].update(_target_="os.system"))
    other = save_run(root / "other", "bigan")
    config = json.loads(json.dumps(_fields(CheckpointFolder(other).latest())["config"]))
    rewrite(good, root / "other_model.safetensors", lambda fields: fields.update(config=config))
    names = ("empty", "pictures", "run")
    files = ("truncated", "pickle", "torch", "newer", "target", "other_model")
    return {"root": root, "file": root / "file.txt", **{name: root / name for name in names},
            **{name: root / f"{name}.safetensors" for name in files}}


def _fields(path: Path) -> dict:
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    return json.loads(json.loads(data[8:8 + length])["__metadata__"]["gancli"])


def check(command: str, case, places, folder: Path, monkeypatch) -> None:
    """Run a command in an empty folder; see its exit code, its sentence, and that it leaves everything as it was."""
    arguments, code, sentence = case
    monkeypatch.chdir(folder)
    before = snapshot(places["root"])
    result = CliRunner().invoke(main.app, [command, *(a.format(**places) for a in arguments)], prog_name="gan")
    assert result.exit_code == code, result.output
    error = result.stderr.strip()
    assert error.startswith("Error: ") and sentence in error, error
    assert "Traceback" not in result.output and error.count("\n") == 0 and len(error) < 700
    assert not list(folder.iterdir()) and snapshot(places["root"]) == before
    assert not (places["root"] / "executed").exists()


def snapshot(root: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in root.rglob("*")}


def test_the_lists_are_whole():
    assert (len(TRAIN), len(READ)) == (37, 13)


@pytest.mark.parametrize("command", later(["train", "validate"]))
@pytest.mark.parametrize("case", later(TRAIN, first=14))
def test_training(command, case, places, tmp_path, monkeypatch):
    check(command, TRAIN[case], places, tmp_path, monkeypatch)


@pytest.mark.parametrize("command", later(["sample", "interpolate", "traverse", "arithmetic"]))
@pytest.mark.parametrize("case", READ)
def test_reading(command, case, places, tmp_path, monkeypatch):
    check(command, READ[case], places, tmp_path, monkeypatch)


def test_unknown_command_names_near_ones():
    result = CliRunner().invoke(main.app, ["trian"], prog_name="gan")
    assert result.exit_code == 2 and "train" in result.output and "Traceback" not in result.output


def test_full_disk_keeps_the_previous_checkpoint(tmp_path, monkeypatch):
    """The disk fills while the second checkpoint is written: the run fails with a sentence, the first one loads."""
    monkeypatch.chdir(tmp_path)
    saves, replace = [], os.replace

    def full(source, target):  # the last step of a save; what was written so far is in the temporary file
        if str(target).endswith(".safetensors"):
            saves.append(target)
            if len(saves) == 2:
                raise OSError(errno.ENOSPC, "No space left on device")
        return replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    result = CliRunner().invoke(main.app, ["train", *TINY, *SMALL_NETWORKS["dcgan"], "trainer.kimg=0.024",
                                           "trainer.checkpoint_kimg=0.008", "run_dir=run"], prog_name="gan")
    assert result.exit_code == 1 and "Traceback" not in result.output
    assert "No space left" in result.stderr or "full" in result.stderr, result.stderr
    assert CheckpointFolder(tmp_path / "run").latest().name == "kimg-000000_008.safetensors"
