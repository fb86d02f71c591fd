"""gan export: files that other programs read make the model's images, and their cards say what they are."""

import base64
import hashlib
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from small_runs import save_run
from systems import MODELS, later, system

import gancli
from gancli.errors import UsageError, UserError
from gancli.explore.drawing import Drawing, packed, traced, unpacked
from gancli.explore.export import export
from gancli.explore.onnx_files import PACKAGES, onnx_run, require_onnx
from gancli.explore.playground import MOST_BYTES, check_size, page_data
from gancli.explore.web_runtime import MODULE, PROGRAM, SCRIPT, read_runtime
from gancli.game.abilities import able
from gancli.monitor.offline import policy
from gancli.runs.card import as_text

MISSING = [name for name in PACKAGES if find_spec(name) is None]
needs_onnx = pytest.mark.skipif(bool(MISSING), reason=f"{', '.join(MISSING)} of the extra export not installed")
SAMPLING = [name for name in MODELS if able(system(name), "sample")]
HERE = str(Path(__file__).parents[2]).encode()  # which an exported file shall not tell
FIRST = ("cgan",)


def options(run, **changes):
    """Return the options of the command."""
    return {"ckpt": str(run), "out": None, "domain": None, "license": None, "runtime": None, "seed": 0, "overwrite": False,
            "weights": "ema", **changes}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs by model, saved when they are first asked for."""
    folder = tmp_path_factory.mktemp("runs")

    def run(name):
        return folder / name if (folder / name).exists() else save_run(folder / name, name)

    return run


@pytest.mark.parametrize("name", later([*FIRST, *(name for name in SAMPLING if name not in FIRST)], first=len(FIRST)))
def test_a_file_draws_what_the_model_draws(name, runs, tmp_path):
    loaded = gancli.load(runs(name), device="cpu")
    if not loaded.spec.is_image:
        pytest.skip("it makes no images")
    report = export(options(runs(name), out=str(tmp_path / "model.pt2")))
    assert report.difference <= 5e-5 and [path.name for path in report.files] == ["model.pt2", "model.json", "model.md"]
    run = torch.export.load(tmp_path / "model.pt2").module()
    for n in (1, 4):  # sizes by which it was neither traced nor checked among them
        labels = [torch.arange(n) % len(loaded.spec.classes)] * loaded.model.needs.labels
        z = loaded.latents(n, seed=9)
        assert torch.allclose(run(z, *labels), loaded.generate(z, *labels), atol=5e-5)


@pytest.mark.recipe
def test_a_file_holds_no_more_than_images_need(runs):
    drawing = Drawing(gancli.load(runs("dcgan"), device="cpu"))
    program = traced(drawing)
    assert sum(tensor.numel() for name, tensor in program.state_dict.items() if "discriminator" in name) == 0
    made = unpacked(packed(program))
    assert drawing.largest_difference(made) <= 1e-5
    assert HERE not in packed(program)


@pytest.mark.recipe
def test_a_file_that_draws_something_else_is_not_written(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("gancli.explore.export.unpacked", lambda data: lambda *inputs: unpacked(data)(*inputs) + 2e-4)
    with pytest.raises(UserError, match="0.0002 away from the model's, more than 0.0001: nothing was written"):
        export(options(runs("dcgan"), out=str(tmp_path / "model.pt2")))
    assert not list(tmp_path.iterdir())
    drawing = Drawing(gancli.load(runs("dcgan"), device="cpu"))
    with pytest.raises(UserError, match="nan away"):
        drawing.largest_difference(lambda z: drawing(z) * torch.nan)
    with pytest.raises(UserError, match="inf away"):
        drawing.largest_difference(lambda z: drawing(z)[:1].expand(len(z) + 1, -1, -1, -1))


def test_the_card_says_what_the_run_recorded(runs, tmp_path):
    run = save_run(tmp_path / "run", "dcgan")
    (run / "stats.jsonl").write_text('{"images": 1000, "metrics/fid(x,2/2)": 9}\n{"images": 2000, "metrics/fid(x,2/2)": 3.5, '
                                     '"metrics/kid(x,2/2)": NaN, "loss/generator": 1}\n')
    protocol = {"generated": 2, "real": 2, "seed": 5, "data": {"split": "train"}}
    (run / "evaluation.json").write_text(json.dumps({"fid(x,2/2)": protocol}))
    export(options(run, out=str(tmp_path / "a/model.pt2"), license="CC-BY-4.0"))
    card = json.loads((tmp_path / "a/model.json").read_text())
    assert card["figures"] == {"fid(x,2/2)": {"value": 3.5, "protocol": protocol},
                               "kid(x,2/2)": {"value": None, "protocol": None}}
    data = (tmp_path / "a/model.pt2").read_bytes()
    assert card["bytes"] == len(data) and card["sha256"] == hashlib.sha256(data).hexdigest()
    said = [card[key] for key in ("model", "kimg", "license", "data", "weights")]
    assert said == ["dcgan", 2, "CC-BY-4.0", "digits", "ema"]
    assert card["inputs"]["z"]["shape"][0] == "n" and card["outputs"]["images"]["shape"][1:] == card["spec"]["shape"]
    text = (tmp_path / "a/model.md").read_text()
    assert "| fid(x,2/2) | 3.5 | 2 generated, 2 real, split train, seed 5 |" in text and "CC-BY-4.0" in text
    assert "not recorded" in text and as_text(card) == text


@pytest.mark.parametrize("name", later(["cgan", "dcgan"]))
def test_three_lines_of_numpy_draw(name, runs, tmp_path, monkeypatch):
    export(options(runs(name), out=str(tmp_path / "model.pt2")))
    card = json.loads((tmp_path / "model.json").read_text())
    monkeypatch.chdir(tmp_path)
    known = {}
    exec("\n".join(card["sampling"]), known)  # noqa: S102  our own lines
    channels, height, width = card["spec"]["shape"]
    assert known["pixels"].shape == (16, height, width, channels) and known["pixels"].dtype == np.uint8
    assert len(np.unique(known["pixels"])) > 10


@pytest.mark.recipe  # seconds each
@needs_onnx
@pytest.mark.parametrize("name", ["dcgan", "cgan", "stylegan2", "infogan", "progan", "gran", "cogan"])
def test_onnx_draws_what_the_model_draws(name, runs, tmp_path):
    import onnxruntime

    loaded = gancli.load(runs(name), device="cpu")
    report = export(options(runs(name), out=str(tmp_path / "model.onnx")))
    assert report.difference <= 1e-4 and report.by.startswith("onnxruntime")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    z = loaded.latents(3, seed=9)
    given = {"z": z.numpy()} | ({"labels": np.zeros(3, np.int64)} if loaded.model.needs.labels else {})
    right = loaded.generate(z, torch.zeros(3, dtype=torch.int64) if loaded.model.needs.labels else None)
    assert np.abs(session.run(None, given)[0] - right.numpy()).max() <= 1e-4
    assert HERE not in (tmp_path / "model.onnx").read_bytes()


def test_without_its_packages_onnx_is_refused_before_anything(runs, tmp_path, monkeypatch):
    monkeypatch.setattr("gancli.explore.onnx_files.find_spec", lambda name: None if name == "onnxscript" else object())
    for name in ("model.onnx", "page.html"):
        with pytest.raises(UserError, match=r"needs onnxscript: type pip install 'gancli\[export\]'"):
            export(options(runs("dcgan"), out=str(tmp_path / "new" / name)))
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("gancli.explore.onnx_files.find_spec", lambda name: object())
    require_onnx("out=model.onnx")


@pytest.mark.parametrize("name, changes, told", [
    ("cyclegan", {}, "cannot sample"), ("seqgan", {}, "no picture of a latent"),
    ("dcgan", {"domain": "a"}, "two domains"), ("cogan", {"domain": "nowhere"}, "no domain called nowhere"),
    ("dcgan", {"out": "model.png"}, "ends in .png"), ("dcgan", {"out": "model"}, "is no file"),
    ("dcgan", {"runtime": "x"}, "for out="), ("dcgan", {"seed": -1}, "seed must be at least 0"),
])
def test_what_cannot_be_is_refused_and_nothing_created(name, changes, told, runs, tmp_path, monkeypatch):
    run = runs(name).absolute()
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UserError, UsageError), match=told):
        export(options(run, **changes))
    assert not list(tmp_path.iterdir())


def test_files_and_cards_are_not_overwritten_unasked(runs, tmp_path):
    for name in ("model.pt2", "model.json", "model.md"):
        (tmp_path / name).write_text("mine")
        with pytest.raises(UserError, match="exists"):
            export(options(runs("dcgan"), out=str(tmp_path / "model.pt2")))
        assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_text() == "mine"
        (tmp_path / name).unlink()
    (tmp_path / "model.pt2").write_text("mine")
    export(options(runs("dcgan"), out=str(tmp_path / "model.pt2"), overwrite=True))
    assert (tmp_path / "model.pt2").read_bytes() != b"mine"


def test_exporters_are_not_loaded_by_the_command_line():
    code = "import sys, gancli.cli.main; print([n for n in ('torch', 'onnx', 'onnxruntime') if n in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "[]"


def runtime_in(folder):
    """Make a folder with files that could be onnxruntime-web's."""
    folder.mkdir()
    (folder / SCRIPT).write_text("var ort = '</script>';\r\n")
    (folder / MODULE).write_text("export default 1;")
    (folder / PROGRAM).write_bytes(b"\0asm" + bytes(100))
    return folder


def test_a_pages_runtime_is_read_and_recorded(tmp_path):
    read = read_runtime(str(runtime_in(tmp_path / "dist")))
    assert read.script == "var ort = '<\\/script>';\n"
    assert read.record[PROGRAM] == {"bytes": 104, "sha256": hashlib.sha256(b"\0asm" + bytes(100)).hexdigest()}
    assert read_runtime(str(tmp_path)).record == read.record  # the folder above it
    (tmp_path / "dist" / PROGRAM).write_text("<html>")
    with pytest.raises(UserError, match="is no WebAssembly"):
        read_runtime(str(tmp_path / "dist"))
    (tmp_path / "dist" / MODULE).unlink()
    with pytest.raises(UserError, match=f"runtime= has no {MODULE}"):
        read_runtime(str(tmp_path / "dist"))


@needs_onnx
def test_a_page_needs_its_runtime(runs, tmp_path):
    with pytest.raises(UserError, match="give runtime=FOLDER"):
        export(options(runs("dcgan"), out=str(tmp_path / "page.html")))
    with pytest.raises(UserError, match="has no"):
        export(options(runs("dcgan"), out=str(tmp_path / "page.html"), runtime=str(tmp_path)))
    assert not list(tmp_path.iterdir())
    check_size(bytes(MOST_BYTES))
    with pytest.raises(UserError, match="a page takes 20 MiB"):
        check_size(bytes(MOST_BYTES + 1))


@pytest.mark.recipe  # seconds
@needs_onnx
def test_a_page_holds_all_that_it_needs(runs, tmp_path):
    run, folder = runs("dcgan"), runtime_in(tmp_path / "dist")
    export(options(run, out=str(tmp_path / "page.html"), runtime=str(folder)))
    page = (tmp_path / "page.html").read_text()
    script = page.rpartition("<script>")[2].partition("</script>")[0]
    assert policy("var ort = '<\\/script>';\n", script, more="blob: 'wasm-unsafe-eval'") in page
    assert "http://" not in page and "https://" not in page
    model = base64.b64decode(page.partition('id="model">')[2].partition("</script>")[0])
    loaded = gancli.load(run, device="cpu")
    assert Drawing(loaded).largest_difference(onnx_run(model, ("z",))) <= 1e-4
    card = json.loads((tmp_path / "page.json").read_text())
    assert card["onnxruntime-web"][PROGRAM]["bytes"] == 104 and card["sampling"] == []


def test_a_page_knows_where_codes_stand(runs):
    loaded = gancli.load(runs("infogan"), device="cpu")
    data = page_data(Drawing(loaded), seed=3)
    latents = np.frombuffer(base64.b64decode(data["latents"]), "<f4").reshape(16, -1)
    assert np.array_equal(latents, loaded.latents(16, 3).numpy()) and not data["round"]
    names = {code["name"]: code for code in data["codes"]}
    assert names.keys() == loaded.model.codes.keys()
    for name, kinds in loaded.model.codes.items():
        code, value = names[name], 1 if kinds else 0.25
        z = loaded.latents(1, 3)
        right = loaded.model.with_codes(z, {name: torch.tensor([value])})[0].numpy()
        made, numbers = z[0].numpy().copy(), np.array(code["numbers"])
        made[code["places"]] = numbers[1] if kinds else numbers[0] + (value + 1) / 2 * (numbers[1] - numbers[0])
        assert np.allclose(made, right)


def test_a_page_of_a_normal_law_keeps_the_length_of_latents(runs):
    assert page_data(Drawing(gancli.load(runs("stylegan2"), device="cpu"), truncation=True), 0)["round"]


def test_truncation_is_an_input(runs):
    loaded = gancli.load(runs("stylegan2"), device="cpu")
    drawing = Drawing(loaded, truncation=True)
    z, *labels, _ = drawing.inputs(2, 0)
    assert torch.allclose(drawing(z, *labels, torch.tensor(1.0)), loaded.generate(z), atol=1e-6)
    average = drawing(z, *labels, torch.tensor(0.0))
    assert torch.allclose(average[0], average[1], atol=1e-6) and drawing.names[-1] == "truncation"
