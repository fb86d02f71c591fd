"""Every command that takes pictures, on ten awkward ones: what is made of them, or the sentence that says why nothing is."""

import importlib
import io
import os
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from omegaconf import OmegaConf
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

import small_runs
from data_composing import CONF, dataset_values

from gancli.data.spec import DataSpec
from gancli.errors import UsageError, UserError

SIDE, WIDE = 16, 4000
EXIF_ORIENTATION = 0x0112
RUNS = {"cyclegan": {}, "pix2pix": {}, "stargan": {}, "stargan_v2": {}, "srgan": {"factor": 2}, "gpgan": {}, "vae": {},
        "context_encoder": {"mask": "random"}, "ian": {}, "caae": {}, "acgan": {}, "stylegan2": {}}
SEARCH = {"steps": 1, "starts": 2}
EDIT = {"steps": 1, "projection_steps": 1, "n": 2, "film": False}
COMMANDS = {  # row: command, run, options, those that name the input
    "translate between domains": ("translate", "cyclegan", {}, ("input",)),
    "translate pairs": ("translate", "pix2pix", {}, ("input",)),
    "translate labels": ("translate", "stargan", {"to": "all"}, ("input",)),
    "translate in a style": ("translate", "stargan_v2", {"seed": 0}, ("input",)),
    "translate in the style of": ("translate", "stargan_v2", {"input": "plain.png"}, ("style",)),
    "upscale": ("upscale", "srgan", {"tile": 64}, ("input",)),
    "upscale originals": ("upscale", "srgan", {"tile": 64}, ("originals",)),
    "inpaint": ("inpaint", "context_encoder", {}, ("input",)),
    "inpaint within a mask": ("inpaint", "context_encoder", {"input": "plain.png"}, ("mask",)),
    "blend": ("blend", "gpgan", {}, ("source", "target", "mask")),
    "project": ("project", "vae", SEARCH, ("input",)),
    "project into w": ("project", "stylegan2", SEARCH, ("input",)),
    "edit": ("edit", "ian", EDIT | {"strokes": "strokes.png"}, ("input",)),
    "edit by strokes": ("edit", "ian", EDIT, ("strokes",)),
    "age": ("age", "caae", {}, ("input",)),
    "traverse": ("traverse", "vae", {"factor": "z:0", "steps": 3}, ("input",)),
    "reconstruct": ("reconstruct", "vae", {}, ("input",)),
    "classify": ("classify", "acgan", {}, ("input",)),
    "latents": ("latents", "vae", {}, ("input",)),
    "arithmetic": ("arithmetic", "vae", {"minus": [1], "to": [2]}, ("plus",)),
}
INPUTS = {"dot.png": "", "wide.jpg": "", "gray.png": "plain-gray.png", "palette.gif": "plain.png", "alpha.png": "plain.png",
          "ink.tif": "plain.png", "turned.png": "plain.png", "cut.jpg": None, "text.png": None, "empty": None}
SAYS = {"cut.jpg": "truncated", "text.png": "not an image", "empty": "holds no images|Is a directory|There is no file"}
OWN = {  # what a row says of inputs that others take
    ("edit by strokes", ""): "no transparency|not an image|truncated|There is no file",
    ("upscale originals", "dot.png"): "too few to be reduced",
    ("arithmetic", ""): "no folder|holds no images"}
KEPT_MODES = ("upscale", "upscale originals")  # rows whose results are of the input's own mode
MASKS = ("inpaint within a mask", "blend")  # rows in which what is transparent belongs to no mask
CELLS = [(row, name) for row, name in product(COMMANDS, INPUTS)]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A launch directory with tiny runs and the inputs; the same colors lie behind five of these and plain.png."""
    folder, before = tmp_path_factory.mktemp("awkward"), Path.cwd()
    for name, changes in RUNS.items():
        two = name in ("cyclegan", "pix2pix")
        data = dataset_values("digits", size=SIDE, channels=3, background="white")
        config = small_runs.config_of(name, **changes) | {"dataset": data}
        spec = DataSpec((3, SIDE, SIDE), 9, ("20", "30", "40"), ("a", "b") if two else ("real",), paired=name == "pix2pix")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(small_runs, "config_of", lambda *given, made=config, **more: made)
            small_runs.save_run(folder / "outputs/train" / f"run-{name}", name, spec=spec)
    _draw_inputs(folder)
    os.chdir(folder)
    yield folder
    os.chdir(before)


def _draw_inputs(folder):
    random = np.random.default_rng(0)
    colors = random.integers(0, 256, (200, 3), dtype=np.uint8)
    colors[0] = 255
    numbers = random.integers(0, 200, (20, 30), dtype=np.uint8)
    plain = Image.fromarray(colors[numbers])
    plain.save(folder / "plain.png")
    palette = Image.fromarray(numbers, "P")
    palette.putpalette(colors.tobytes())
    palette.save(folder / "palette.gif")
    hidden = np.where(numbers == 0, 0, 255).astype(np.uint8)
    alpha = np.dstack((np.where(numbers[..., None] == 0, 77, colors[numbers]), hidden)).astype(np.uint8)
    Image.fromarray(alpha, "RGBA").save(folder / "alpha.png")
    plain.convert("CMYK").save(folder / "ink.tif")
    exif = Image.Exif()
    exif[EXIF_ORIENTATION] = 6  # to be turned by 90 degrees to the right
    plain.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    plain.convert("L").save(folder / "gray.png")
    plain.convert("L").convert("RGB").save(folder / "plain-gray.png")
    Image.new("RGB", (1, 1), "white").save(folder / "dot.png")
    buffer = io.BytesIO()
    plain.resize((WIDE, 21)).save(buffer, "JPEG")
    (folder / "wide.jpg").write_bytes(buffer.getvalue())
    (folder / "cut.jpg").write_bytes(buffer.getvalue()[:len(buffer.getvalue()) // 2])
    (folder / "text.png").write_text("no picture")
    (folder / "empty").mkdir()
    (folder / "all").mkdir()
    for name in INPUTS:
        if name != "empty":
            (folder / "all" / name).write_bytes((folder / name).read_bytes())
    strokes = Image.new("RGBA", (SIDE, SIDE))
    strokes.paste((255, 0, 0, 255), (3, 3, 8, 8))
    strokes.save(folder / "strokes.png")


def _run(row, given, out):
    command, run, options, keys = COMMANDS[row]
    config = OmegaConf.load(CONF / f"{command}.yaml")
    for key in ("defaults", "hydra"):
        del config[key]
    task = getattr(importlib.import_module(f"gancli.explore.{command}"), command)
    return task(OmegaConf.merge(config, {"device": "cpu", "ckpt": f"run-{run}", "out": out}, options,
                                dict.fromkeys(keys, given)))


def _pictures(folder):
    """Return the pictures in a folder, in the order of their names (which are the input's)."""
    return [np.asarray(Image.open(path).convert("RGB")) for path in sorted(Path(folder).rglob("*.png"))]


def _expected(row, name):
    """Return what the sentence says, None where there is to be a result."""
    own = OWN.get((row, name)) or OWN.get((row, ""))
    if own is not None and not (row == "edit by strokes" and name == "alpha.png"):
        return own
    return SAYS.get(name)


def test_the_table_is_whole():
    assert (len(COMMANDS), len(INPUTS), len(CELLS)) == (20, 10, 200)


@pytest.mark.parametrize("row", COMMANDS)
def test_awkward_inputs(row, here):
    originals = {path: path.read_bytes() for path in here.glob("*.*")}
    made, place = {}, here / "out" / row.replace(" ", "-")
    for name in INPUTS:
        out, said = place / name.replace(".", "-"), _expected(row, name)
        if said is None:
            made[name] = _run(row, name, str(out))
            assert any(path.stat().st_size for path in out.rglob("*") if path.is_file()), (row, name)
        else:
            with pytest.raises((UserError, UsageError), match=said):
                _run(row, name, str(out))
            assert not out.exists(), f"{row} of {name} left something behind"
    others = {"gray.png": row in KEPT_MODES, "alpha.png": row in (*KEPT_MODES, *MASKS, "edit by strokes")}
    for name in made:
        plain = INPUTS[name]
        if plain and not others.get(name):
            seen, known = (place / each.replace(".", "-") for each in (name, plain))
            if not known.exists():
                _run(row, plain, str(known))
            pairs = list(zip(_pictures(seen), _pictures(known), strict=True))
            assert all(np.array_equal(*pair) for pair in pairs), f"{row} sees {name} otherwise than {plain}"
    assert {path: path.read_bytes() for path in originals} == originals


@pytest.mark.parametrize("row", [row for row, (_, _, _, keys) in COMMANDS.items()
                                 if keys[0] in ("input", "style", "originals", "plus") and row != "edit"])
def test_a_folder_of_all_of_them_names_what_it_skips(row, here, capsys):
    report = _run(row, "all", str(here / "out/all" / row.replace(" ", "-")))
    told = " ".join(getattr(report, "notes", [])) + capsys.readouterr().err
    assert "Skipped" in told and "cut.jpg" in told and "text.png" in told
