"""The wheel, installed somewhere else, trains and samples without the source tree."""

import os
import subprocess
import sys
import zipfile

from running import ROOT


def test_wheel_trains(tmp_path):
    subprocess.run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)],
                   check=True, capture_output=True, text=True)
    wheel = next((tmp_path / "dist").glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "gancli/conf/train.yaml" in names and not any(name.startswith(("tests/", "conf/")) for name in names)
    site, work = tmp_path / "site", tmp_path / "work"
    work.mkdir()
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", str(site),
                    str(wheel)], check=True, capture_output=True, text=True)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def gan(*arguments):
        done = subprocess.run([sys.executable, "-m", "gancli", *arguments], cwd=work, env=environment, capture_output=True,
                              text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    where = subprocess.run([sys.executable, "-c", "import gancli; print(gancli.__file__)"], cwd=work, env=environment,
                           capture_output=True, text=True, check=True).stdout
    assert where.startswith(str(site)), where
    assert "dcgan" in gan("list", "models")
    gan("train", "dataset.size=8", "model.width=4", "trainer.kimg=0.2", "run_dir=run", "device=cpu")
    gan("sample", "ckpt=run", "n=4", "out=grid.png", "device=cpu")
    assert (work / "grid.png").stat().st_size > 0
    gan("compare", "run", "--html", "page.html")
    assert "data:image/png" in (work / "page.html").read_text()
