"""Every command in the README, in docs/ and at the end of each command's help runs, on small data and for a few rounds."""

import importlib
import shlex
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
from PIL import Image
from running import ROOT, command, commands_in, environment, gan

from gancli.cli.main import COMMANDS

HELP = ("main", *COMMANDS)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README, *DOCS = (commands_in(page.read_text()) for page in PAGES)
EXAMPLES = [shlex.split(line)[1:] for name in HELP for line in importlib.import_module(f"gancli.cli.{name}").EXAMPLES]
TRIED = {("lab", "all")}  # test_experiments.py runs it and looks at what it found
COMMANDS = [each for each in dict.fromkeys(map(tuple, [*README, *sum(DOCS, []), *EXAMPLES])) if each not in TRIED]
LENGTHS = ("trainer.kimg=", "trainer.epochs=")
SHORT = ("trainer.batch_size=4", "trainer.kimg=0.02")


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder with pictures, tiny MNIST-like data in torchvision's layout, and a run that was stopped."""
    home = tmp_path_factory.mktemp("home")
    random = np.random.default_rng(0)
    (home / "pictures").mkdir()
    for i in range(8):
        Image.fromarray(random.integers(0, 256, (70, 80, 3), dtype=np.uint8)).save(home / f"pictures/{i}.png")
    for name in ("MNIST", "FashionMNIST"):
        raw = home / "data" / name / "raw"
        raw.mkdir(parents=True)
        for part in ("train", "t10k"):
            images, labels = random.integers(0, 256, (40, 28, 28), dtype=np.uint8), np.arange(40, dtype=np.uint8) % 10
            (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    settings = ("model=cgan", "model.backbone=conv", "model.width=4", "dataset.size=8", "trainer.batch_size=8",
                "trainer.kimg=3", "trainer.checkpoint_kimg=0.5", "device=cpu", "run_dir=stopped")
    process = subprocess.Popen(command("train", *settings), cwd=home, env=environment(), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(home.glob("stopped/checkpoints/kimg-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 3, "a run stopped by SIGTERM exits with 3"
    return home


def idx(array: np.ndarray) -> bytes:
    """Return uint8 values in MNIST's file format."""
    sizes = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def test_there_are_commands():
    assert len(README) >= 13 and len(EXAMPLES) >= 24
    assert len(DOCS) >= 3 and sum(map(len, DOCS)) >= 6


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_command_runs(arguments, home, tmp_path):
    for run in ("train/RUN", "sweep/SWEEP/0", "sweep/SWEEP/1"):
        shutil.copytree(home / "stopped", tmp_path / "outputs" / run)
    kimg = max(path.name for path in (tmp_path / "outputs/train/RUN/checkpoints").glob("kimg-*"))[5:15]
    given = [word.replace("@100", f"@{int(kimg[:6]) + int(kimg[7:]) / 1000:g}") for word in arguments]
    if given[0] == "train" and "--cfg" not in given and "--help" not in given:
        if any(word.startswith("resume=") for word in given):
            given = ["trainer.kimg=3.2" if word.startswith(LENGTHS) else word for word in given]
        else:
            given = [word for word in given if not word.startswith(LENGTHS)] + list(SHORT)
    if given[0] == "evaluate":
        given.append("n=64")
    if given[0] == "train" and "--help" not in given:
        given.append("evaluation.n=64")
    done = gan(*given, cwd=tmp_path, HOME=str(home), GAN_DATA=str(home / "data"), OMP_NUM_THREADS="1")
    if given[0] in ("sample", "interpolate", "traverse", "arithmetic", "evaluate"):
        assert done.stdout.strip(), "it prints where the pictures are"
    if given[0] == "compare" and "--help" not in given:
        assert (tmp_path / done.stdout.splitlines()[-1]).is_file(), "it prints where the files are"
    if given[0] == "train" and "--cfg" not in given and "--help" not in given:
        assert any(tmp_path.glob("outputs/*/*/checkpoints")) or any(tmp_path.glob("outputs/*/*/*/checkpoints"))
