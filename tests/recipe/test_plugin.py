"""A model from a separate package: an entry point and --config-dir, and nothing in this repository changes."""

import re
from pathlib import Path

from running import ROOT, environment, gan

FILES = dict(re.findall(r"^<!-- file: (\S+) -->\n```\w+\n(.*?)^```$",
                        (ROOT / "docs/contract.md").read_text(), re.DOTALL | re.MULTILINE))


def install(site: Path) -> None:
    """Lay the package out as an installer would: the module and its distribution's metadata."""
    site.mkdir()
    (site / "toygan.py").write_text(FILES["toygan.py"])
    info = site / "toygan-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toygan\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gancli.plugins]\ntoygan = toygan\n")


def test_third_party_model(tmp_path):
    install(tmp_path / "site")
    paths = {"PYTHONPATH": f"{tmp_path / 'site'}:{environment()['PYTHONPATH']}"}
    conf = tmp_path / "conf"
    (conf / "model").mkdir(parents=True)
    (conf / "model/toygan.yaml").write_text(FILES["conf/model/toygan.yaml"])
    assert "A third party's toy." in gan("list", "models", "--config-dir", str(conf), cwd=tmp_path, **paths).stdout
    run = ("train", "--config-dir", str(conf), "model=toygan", "loss=wgan_gp", "dataset.size=8", "device=cpu")
    gan(*run, "model.hidden=8", "trainer.kimg=0.4", "run_dir=run", cwd=tmp_path, **paths)
    gan("train", "--config-dir", str(conf), "resume=run", "trainer.kimg=0.6", cwd=tmp_path, **paths)
    gan("sample", "ckpt=run", "n=4", "out=grid.png", "device=cpu", cwd=tmp_path, **paths)
    assert (tmp_path / "grid.png").exists()
    wrong = gan(*run, "model.hiden=8", cwd=tmp_path, check=2, **paths)
    assert "model.hidden" in wrong.stderr
    absent = gan("sample", "ckpt=run", "n=4", "out=other.png", cwd=tmp_path, check=None)  # without the package
    assert absent.returncode in (1, 2) and "no model called toygan" in absent.stderr
