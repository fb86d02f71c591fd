"""Files of every kind that is read, mutated and cut: read, or refused; no traceback, hang, bomb or payload."""

import gzip
import io
import json
import os
import re
import struct
import tarfile
import zipfile
from collections import Counter
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from forked import forked
from hypothesis import HealthCheck, Phase, given, seed, settings
from mutations import edits, mutated
from PIL import Image

from gancli.cli.watch import told
from gancli.config.compose import compose
from gancli.config.resume import stored_settings
from gancli.data.dataset import open_source
from gancli.data.decode import BrokenImage, probe
from gancli.data.sources.idx import read_idx
from gancli.errors import UserError
from gancli.explore.found_latents import read_points
from gancli.explore.inputs import read_mask
from gancli.explore.strokes import read_strokes
from gancli.features.linear import read_linear
from gancli.runs.atomic import write_json
from gancli.runs.card import as_text as card_text
from gancli.runs.checkpoint import CheckpointFolder, read, write
from gancli.runs.config import read_config
from gancli.runs.find import list_runs
from gancli.runs.owner import owned
from gancli.runs.progress import progress_of, write_progress
from gancli.runs.provenance import read_provenance
from gancli.runs.stats import keep_until, read_ticks
from gancli.runs.status import Status, read_status, write_status
from gancli.runs.sweeps import SweepRecord, job_folders, sweeps_in, write_sweep
from gancli.show.card import make_card
from gancli.show.facts import lines, look_at
from gancli.show.page import make_page
from gancli.sweeps.sweeping import continued_sweep

BOUNDED, MANY = 15, int(os.environ.get("GANCLI_FUZZ", 1500))  # cases a reader: in the unit tier, behind -m fuzz
SEED = int(os.environ.get("GANCLI_FUZZ_SEED", 0))
CONFIG = {"model": {"name": "gan", "units": [1, 2]}, "trainer": {"kimg": 1.5}, "evaluation": {}, "data_dir": "/x"}


def config(folder):
    (folder / "config.yaml").write_text("model:\n  name: gan\n  units: [1, 2]\ntrainer: {kimg: 1.5}\nseed: 0\n")
    return folder / "config.yaml", lambda path: (read_config(folder), stored_settings(folder), list_runs(folder.parent))


def status(folder):
    write_status(folder, Status.begin(["seed=0"]))
    return folder / "status.json", lambda path: (read_status(folder), list_runs(folder.parent))


def stats(folder):
    (folder / "stats.jsonl").write_text("".join(json.dumps({"images": 8 * i, "loss/generator": 0.5}) + "\n" for i in range(9)))
    return folder / "stats.jsonl", lambda path: (read_ticks(path), keep_until(path, 32))


def provenance(folder):
    write_json(folder / "provenance.json", {"seed": 0, "continues": {"seed": 1, "continues": {}}})
    return folder / "provenance.json", lambda path: read_provenance(folder)


def owner(folder):
    write_json(folder / "owner.json", {"host": "another", "pid": 7, "process_started": 1, "since": "x", "token": "y"})

    def start(path):
        with owned(folder):
            pass

    return folder / "owner.json", start


def sweep(folder):
    write_sweep(folder, SweepRecord("train", ["seed=0,1", "model=gan", "hydra/launcher=joblib"], jobs={"0": ["seed=0"]}))
    return folder / "sweep.json", lambda path: (job_folders(folder), continued_sweep("train", [f"resume={folder}"]))


def sweep_status(folder):
    write_sweep(folder, SweepRecord("train", ["seed=0,1"], jobs={"0": ["seed=0"]}))
    jobs = {folder / "0": Status("finished", objective=0.5)}
    write_progress(folder, progress_of("running", 2, jobs, folder, True, "2026-01-01T00:00:00+00:00"))
    return folder / "status.json", lambda path: [told(progress) for _, progress in sweeps_in(folder)]


def checkpoint(folder):
    path = folder / "checkpoints/kimg-000001.safetensors"
    write(path, {"model/a": torch.arange(6.0).view(2, 3), "ema/b": torch.ones(3)},
          {"config": CONFIG, "spec": {"shape": [1, 8, 8]}, "progress": {"images": 1000}, "extra": {"training_s": 1.0}})
    return path, lambda path: (read(path), CheckpointFolder(folder).latest())


def npz(folder):
    np.savez(folder / "a.npz", images=np.zeros((6, 8, 8, 1), np.uint8), labels=np.arange(6) % 2)
    return folder / "a.npz", lambda path: _arrays(path)


def npy(folder):
    np.save(folder / "a.npy", np.zeros((6, 8, 8), np.float32))
    return folder / "a.npy", lambda path: _arrays(path)


@cache
def _options():
    return compose("train", ["dataset=npz"]).dataset


def _looked_at(values, path):
    """Return the data set at a path, as a run looks at it before it trains."""
    values.path = str(path)
    source = open_source(values, path.parent)
    source.inspect()
    return source


def _arrays(path):
    _looked_at(_options(), path).arrays()


def idx(folder):
    (folder / "a-ubyte").write_bytes(struct.pack(">4I", 0x803, 3, 8, 8) + bytes(192))
    return folder / "a-ubyte", lambda path: read_idx(path, 3)


def packed_idx(folder):
    (folder / "a-ubyte.gz").write_bytes(gzip.compress(struct.pack(">4I", 0x803, 3, 8, 8) + bytes(192)))
    return folder / "a-ubyte.gz", lambda path: read_idx(path, 3)


def image(folder):
    file = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, "PNG")
    (folder / "a.png").write_bytes(file.getvalue())

    def look(path):
        try:
            probe(path)
        except BrokenImage as error:
            raise UserError(str(error)) from None

    return folder / "a.png", look


STROKES = {"width": 16, "height": 16, "strokes": [
    {"tool": "color", "points": [[1, 2], [9, 9]], "radius": 2, "color": "#ff0000"},
    {"tool": "warp", "points": [[3, 3], [8, 3]], "radius": 1},
    {"tool": "sketch", "points": [[0.5, 8]], "color": [0, 20, 255]}]}


def protocols(folder):
    (folder / "config.yaml").write_text("model: {name: gan}\nseed: 0\n")
    write_status(folder, Status.begin(["seed=0"]))
    write_json(folder / "evaluation.json", {"swd(2/2)": {"generated": 2, "real": 2, "seed": 0, "data": {"split": "train"},
                                                         "extractor": {"extractor": "x", "classifier": {"accuracy": 0.5}}}})

    def show(path):
        facts = look_at(str(folder))
        return [*lines(facts), make_page(facts), card_text(make_card(facts, None))]

    return folder / "evaluation.json", show


def strokes(folder):
    (folder / "strokes.json").write_text(json.dumps(STROKES))
    return folder / "strokes.json", lambda path: read_strokes(str(path), torch.zeros(3, 8, 8), "crop")


def painted_strokes(folder):
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(8, 8, 4)).save(folder / "strokes.png")
    return folder / "strokes.png", lambda path: read_strokes(str(path), torch.zeros(1, 8, 8), "pad")


def mask(folder):
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4).save(folder / "mask.png")
    return folder / "mask.png", lambda path: read_mask("mask", str(path))


def latents(folder):
    np.savez(folder / "latents.npz", z=np.zeros((4, 3), np.float32), errors=np.zeros(4))
    model = SimpleNamespace(needs=SimpleNamespace(labels=False))
    loaded = SimpleNamespace(model=model, name="toy", latents=lambda n: torch.zeros(n, 3))
    return folder / "latents.npz", lambda path: read_points(str(path), loaded)


def linear_weights(folder):
    (folder / "weights").mkdir()
    torch.save({f"lin{layer}.model.1.weight": torch.ones(1, count, 1, 1) for layer, count in enumerate((3, 5))},
               folder / "weights/lpips-vgg16.pth")
    return folder / "weights/lpips-vgg16.pth", lambda path: read_linear("vgg16", (3, 5), folder)


@cache
def _folder_options():
    return compose("train", ["dataset=folder", "dataset.size=8"]).dataset


def _png():
    file = io.BytesIO()
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)).save(file, "PNG")
    return file.getvalue()


def _decoded(path):
    """Read everything that lies at a path, as training would."""
    source = _looked_at(_folder_options(), path)
    source.stamps()
    for _ in source.blocks():
        pass


def _labeled(folder, name, text):
    """Return a file of labels beside four images, and what reads it."""
    for number in range(4):
        (folder / f"{number}.png").write_bytes(_png())
    (folder / name).write_text(text)
    return folder / name, lambda path: _decoded(folder)


def dataset_json(folder):
    return _labeled(folder, "dataset.json", json.dumps({"labels": [[f"{number}.png", number % 2] for number in range(4)]}))


def metadata_csv(folder):
    return _labeled(folder, "metadata.csv", "file_name,label,text\n" + "".join(f'{i}.png,{i % 2},"a, b"\n' for i in range(4)))


def metadata_jsonl(folder):
    return _labeled(folder, "metadata.jsonl", "".join(json.dumps({"file_name": f"{i}.png", "label": "ab"[i % 2]}) + "\n"
                                                      for i in range(4)))


def zip_archive(folder):
    with zipfile.ZipFile(folder / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(4):
            archive.writestr(f"{number % 2}/{number}.png", _png())
        archive.writestr("dataset.json", json.dumps({"labels": [[f"{i % 2}/{i}.png", i % 2] for i in range(4)]}))
    return folder / "a.zip", _decoded


def tar_archive(folder):
    with tarfile.open(folder / "a.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for number in range(4):
            for ending, content in (("png", _png()), ("cls", b"1"), ("json", b'{"label": 3}')):
                member = tarfile.TarInfo(f"{number:05d}{'é' * (number == 1)}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
    return folder / "a.tar", _decoded


def _table():
    features = {"info": {"features": {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["a", "b"]}}}}
    cells = [{"bytes": _png(), "path": f"{number}.png"} for number in range(6)]
    table = pyarrow.table({"image": cells, "label": [number % 2 for number in range(6)], "text": ["x"] * 6})
    return table.replace_schema_metadata({"huggingface": json.dumps(features)})


def parquet_file(folder):
    pyarrow.parquet.write_table(_table(), folder / "a.parquet", row_group_size=4)
    return folder / "a.parquet", _decoded


def arrow_file(folder):
    with pyarrow.OSFile(str(folder / "a.arrow"), "wb") as file, pyarrow.ipc.new_stream(file, _table().schema) as writer:
        for batch in _table().to_batches(max_chunksize=4):
            writer.write_batch(batch)
    return folder / "a.arrow", _decoded


READERS = [config, status, stats, provenance, owner, sweep, sweep_status, checkpoint, npz, npy, idx, packed_idx, image,
           protocols, strokes, painted_strokes, mask, latents, dataset_json, metadata_csv, metadata_jsonl, zip_archive,
           tar_archive, parquet_file, arrow_file, linear_weights]


def outcomes(reader, folder: Path, cases: int) -> dict[str, int]:
    """Read so many mutated files and count what came of them; an AssertionError for what may not be."""
    canary = folder / "canary"
    canary.write_text("untouched")
    os.environ["CANARY"] = "a secret that is told to nobody"
    (folder / "run").mkdir()
    path, reads = reader(folder / "run")
    content, counts = path.read_bytes(), Counter()

    @seed(SEED)
    @settings(max_examples=cases, database=None, deadline=None, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))
    @given(edits)
    def look(changes):
        path.write_bytes(mutated(content, changes))
        try:
            reads(path)
            counts["read"] += 1
        except UserError as error:
            counts["refused"] += 1
            assert len(re.split(r"(?<=[.!?]) (?=[A-Z])", str(error))) <= 3 and "a secret" not in str(error), str(error)
        finally:
            path.unlink(missing_ok=True)

    look()
    assert canary.read_text() == "untouched" and {entry.name for entry in folder.iterdir()} == {"canary", "run"}
    return dict(counts)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
@pytest.mark.parametrize("cases", [pytest.param(BOUNDED, marks=pytest.mark.recipe),
                                   pytest.param(MANY, marks=pytest.mark.fuzz)], ids=["bounded", "many"])
def test_mutated_files_are_read_or_refused(reader, cases, tmp_path, capsys):
    counts = forked(lambda: outcomes(reader, tmp_path, cases), seconds=20 + cases)
    with capsys.disabled():
        if cases == MANY:
            print(f"\n{reader.__name__}: {counts}")
    assert "died" not in counts, counts
    assert sum(counts.values()) >= cases * 0.9
