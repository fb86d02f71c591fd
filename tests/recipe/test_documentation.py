"""Every command in the README, in docs/ and at the end of each command's help runs, on small data and for a few rounds."""

import importlib
import re
import shlex
import shutil
import signal
import subprocess
import time

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from running import ROOT, command, commands_in, environment, gan, warm_gan

from gancli.cli.main import COMMANDS

HELP = ("main", *COMMANDS)
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
README, *DOCS = (commands_in(page.read_text()) for page in PAGES)
EXAMPLES = [shlex.split(line)[1:] for name in HELP for line in importlib.import_module(f"gancli.cli.{name}").EXAMPLES]
COMMANDS = [each for each in dict.fromkeys(map(tuple, [*README, *sum(DOCS, []), *EXAMPLES]))
            if each[0] != "lab" or len(each) > 2]  # test_experiments.py runs `lab all`, thus each with its defaults
LENGTHS = ("trainer.kimg=", "trainer.epochs=")
WRITING = ("sample", "interpolate", "traverse", "age", "arithmetic", "mix", "latents", "reconstruct", "project", "edit",
           "translate", "upscale", "inpaint", "blend", "classify", "evaluate", "export")
SHORT = ("trainer.batch_size=4", "trainer.kimg=0.02")
FEW_STEPS = {"equilibrium": ("steps=20", "dirac.steps=20"), "mode_seeking": ("steps=20",), "lipschitz": ("steps=20",)}
OTHERS = {  # runs of commands that need another model than the one that was stopped
    "encoder": ("model=vae", "model.units=8", "dataset.size=8"),
    "paired": ("model=pix2pix", "model.width=4", "dataset.path=~/pairs", "dataset.size=16", "dataset.holdout=0.5"),
    "enlarging": ("model=srgan", "model.width=4", "model.blocks=1", "model.pretrain_kimg=null", "dataset=folder",
                  "dataset.path=~/pictures", "dataset.size=16", "dataset.holdout=0.5"),
    "ordered": ("model=caae", "model.width=4", "model.generator_width=16", "dataset.size=8", "dataset.holdout=0.2"),
    "guided": ("model=stargan_v2", "model.channel_base=32", "model.channel_max=8", "model.mapping_width=8",
               "dataset=fashion_mnist", "dataset.size=8", "data_dir=data"),
    "holes": ("model=context_encoder", "model.width=4", "dataset=folder", "dataset.path=~/pictures", "dataset.size=16",
              "dataset.holdout=0.5"),
    "blends": ("model=gpgan", "model.width=4", "model.bottleneck=8", "dataset=folder", "dataset.path=~/pictures",
               "dataset.size=16"),
    "styled": ("model=stylegan2", "model.channel_base=32", "model.channel_max=8", "dataset.size=16"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A home folder with pictures, pairs, tiny MNIST-like data in torchvision's layout, and a run that was stopped."""
    home = tmp_path_factory.mktemp("home")
    random = np.random.default_rng(0)
    (home / "pictures").mkdir()
    for i in range(8):
        Image.fromarray(random.integers(0, 256, (70, 80, 3), dtype=np.uint8)).save(home / f"pictures/{i}.png")
    for copy in ("pairs/drawing", "pairs/photo", "faces/0-5", "faces/6-10", "faces/71+"):
        shutil.copytree(home / "pictures", home / copy)
    for folder, side, ending in (("DIV2K/DIV2K_train_HR", 480, ""), ("DIV2K/DIV2K_train_LR_bicubic/X4", 120, "x4"),
                                 ("DIV2K_valid_HR", 64, ""), ("DIV2K_valid_LR_bicubic/X4", 16, "x4")):
        (home / folder).mkdir(parents=True)
        for i in range(2):
            pixels = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(home / folder / f"000{i}{ending}.png")
    for name in ("MNIST", "FashionMNIST"):
        raw = home / "data" / name / "raw"
        raw.mkdir(parents=True)
        for part in ("train", "t10k"):
            images, labels = random.integers(0, 256, (100, 28, 28), dtype=np.uint8), np.arange(100, dtype=np.uint8) % 10
            (raw / f"{part}-images-idx3-ubyte").write_bytes(idx(images))
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    own_data(home)
    settings = ("model=acgan", "model.width=4", "dataset.size=8", "dataset.holdout=0.2", "trainer.batch_size=8",
                "trainer.kimg=3", "trainer.checkpoint_kimg=0.5", "device=cpu", "run_dir=stopped")
    process = subprocess.Popen(command("train", *settings), cwd=home, env=environment(), stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(home.glob("stopped/checkpoints/kimg-*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 3, "a run stopped by SIGTERM exits with 3"
    return home


def own_data(home):
    """Write what docs/own-data.md speaks of: a labeled tree, two domains, an archive, arrays and a table."""
    pictures = sorted((home / "pictures").glob("*.png"))
    for number, picture in enumerate(pictures):
        for copy in (f"flowers/{'train' if number < 6 else 'test'}/{('rose', 'lily')[number % 2]}/{picture.name}",
                     f"seasons/{'train' if number < 6 else 'test'}{'AB'[number % 2]}/{picture.name}"):
            (home / copy).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(picture, home / copy)
    shutil.make_archive(str(home / "pictures"), "zip", home / "pictures")
    images = np.stack([np.asarray(Image.open(picture).resize((16, 16))) for picture in pictures])
    np.savez(home / "arrays.npz", x_train=images, y_train=np.arange(8) % 2, x_test=images[:4], y_test=np.arange(4) % 2)
    cells = [{"bytes": picture.read_bytes(), "path": None} for picture in pictures]
    (home / "table").mkdir()
    for part in ("train", "test"):
        pyarrow.parquet.write_table(pyarrow.table({"image": cells, "label": [0, 1] * 4}),
                                    home / f"table/{part}-00000-of-00001.parquet")


def run_for(arguments, home):
    """Return a run that the command can be tried on, trained when it is first asked for."""
    asked = {"ckpt=GUIDED": "guided", "ckpt=STYLED": "styled", "reconstruct": "encoder", "latents": "encoder",
             "translate": "paired", "metrics=[translation]": "paired", "age": "ordered", "upscale": "enlarging",
             "metrics=[upscaling]": "enlarging", "inpaint": "holes", "metrics=[inpainting]": "holes", "blend": "blends"}
    name = next((asked[word] for word in asked if word in arguments), None)
    if name is None:
        return home / "stopped"
    if not (home / name).exists():
        warm_gan("train", *OTHERS[name], *SHORT, "evaluation.kimg=null", "device=cpu", f"run_dir={name}", cwd=home,
                 HOME=str(home))
    return home / name


def idx(array: np.ndarray) -> bytes:
    """Return uint8 values in MNIST's file format."""
    sizes = b"".join(side.to_bytes(4, "big") for side in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def test_there_are_commands():
    assert len(README) >= 10 and len(EXAMPLES) >= 24
    assert len(DOCS) >= 27 and sum(map(len, DOCS)) >= 179


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_command_runs(arguments, home, tmp_path):
    if any(word.endswith(".onnx") for word in arguments):
        pytest.importorskip("onnxruntime", reason="onnxruntime of the extra export is not installed")
    for run in ("train/RUN", "train/STYLED", "train/GUIDED", "sweep/SWEEP/0", "sweep/SWEEP/1"):
        shutil.copytree(run_for(arguments, home), tmp_path / "outputs" / run)
    for folder in ("pictures", "DIV2K_valid_HR", "DIV2K_valid_LR_bicubic"):
        shutil.copytree(home / folder, tmp_path / folder)
    for number, name in enumerate(("cat.png", "lawn.png", "mask.png")):
        shutil.copy(home / f"pictures/{number}.png", tmp_path / name)
    shutil.copy(home / "pictures.zip", tmp_path)
    (tmp_path / "strokes.json").write_text('{"strokes": [{"color": "#ffffff", "points": [[2, 2], [5, 5]]}]}')
    Image.fromarray(np.pad(np.full((4, 4, 4), 255, np.uint8), ((2, 2), (2, 2), (0, 0)))).save(tmp_path / "strokes.png")
    kimg = max(path.name for path in (tmp_path / "outputs/train/RUN/checkpoints").glob("kimg-*"))[5:15]
    given = [word.replace("@100", f"@{int(kimg[:6]) + int(kimg[7:]) / 1000:g}") for word in arguments]
    if given[0] == "train" and "--cfg" not in given and "--help" not in given:
        if any(word.startswith("resume=") for word in given):
            given = ["trainer.kimg=3.2" if word.startswith(LENGTHS) else word for word in given]
        else:
            given = [re.sub(r"^model\.(stable|fade|pretrain)_kimg=[1-9].*", r"model.\1_kimg=0.004", word) for word in given
                     if not word.startswith(LENGTHS)] + list(SHORT)
    if given[0] == "evaluate":
        given.append("n=64")
    if given[0] == "train" and "--help" not in given:
        given.append("evaluation.n=64")
    if given[0] == "lab":
        given = [*given, *FEW_STEPS.get(given[1], ())]
    start = gan if "-m" in given else warm_gan  # launchers start processes by ways of their own
    done = start(*given, cwd=tmp_path, HOME=str(home), GAN_DATA=str(home / "data"), OMP_NUM_THREADS="1")
    if given[0] in WRITING:
        assert done.stdout.strip(), "it prints where the files are"
    if given[0] == "compare" and "--help" not in given:
        assert (tmp_path / done.stdout.splitlines()[-1]).is_file(), "it prints where the files are"
    if given[0] == "train" and "--cfg" not in given and "--help" not in given:
        assert any(tmp_path.glob("outputs/*/*/checkpoints")) or any(tmp_path.glob("outputs/*/*/*/checkpoints"))
