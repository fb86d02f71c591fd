"""The commands as functions of Python: the same words, checks and results, and torch only on first use."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import gancli
from gancli.errors import UsageError, UserError


def test_the_package_is_light_and_typed():
    loaded = "import gancli, sys; print(sorted({'torch', 'hydra', 'numpy'} & set(sys.modules)), gancli.__all__)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert done.stdout.split("]")[0] == "[" and "train" in done.stdout and "evaluate" in done.stdout
    assert Path(gancli.__file__).with_name("py.typed").is_file()


@pytest.mark.recipe  # a run
def test_the_page_of_python_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs/python.md").read_text()
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", page, re.DOTALL)[1], names)
    told = capsys.readouterr().out
    assert "nothing was created" in told and "<gan, trained for 1 kimg" in told and "swd(" in told
    assert names["run"].status == "finished" and names["run"].run_dir == tmp_path / "small"
    assert names["images"].shape == (16, 1, 32, 32) and (tmp_path / "figures.json").is_file()


@pytest.mark.parametrize("words, part", [(["modle=gan"], "did you mean model?"), ("a=1 b=2", "['a=1', 'b=2']"),
                                         (["model=gan", "+x=1"], "no key x"), (["resume=nothing"], "no run called nothing"),
                                         (["seed=${nowhere}"], "nowhere")])
def test_what_the_commands_refuse_is_refused_in_their_words(words, part, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as refused:
        gancli.validate(words)
    assert part in str(refused.value) and isinstance(refused.value, UsageError) == ("nothing" not in part)
    assert not list(tmp_path.iterdir())
