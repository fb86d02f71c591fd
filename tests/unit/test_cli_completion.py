"""TAB completion, and that neither it nor help ever imports torch."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from systems import later
from typer.testing import CliRunner

from gancli.cli.completion import candidates, complete_run
from gancli.cli.main import app
from gancli.config import groups

ROOT = Path(__file__).parents[2]
RUN = "import sys\nfrom gancli.cli.main import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n" \
      "print('torch' in sys.modules, file=sys.stderr)"


def run(*arguments: str, cwd: Path | None = None, **environment: str) -> str:
    """Run a command line in a process of its own, assert that it imported no torch, return what it printed."""
    result = subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True, timeout=60, cwd=cwd,
                            env={**os.environ, "PYTHONPATH": str(ROOT), **environment})
    assert result.stderr.splitlines()[-1] == "False", result.stderr
    return result.stdout


@pytest.mark.parametrize("arguments, part", later([
    (("--help",), "interpolate"), (("train", "--help"), "Examples:"), (("train", "--cfg", "job"), "optimizer:"),
    (("list", "models"), "model=dcgan"), (("list", "runs"), "There are no runs"),
    (("compare", "--help"), "gan compare RUN"), (("train", "modle=gan"), ""), (("sample", "--help"), "gan sample ckpt="),
    (("interpolate", "--help"), "gan interpolate ckpt="), (("traverse", "--help"), "gan traverse ckpt="),
    (("arithmetic", "--help"), "plus=[1,2,3]"), (("evaluate", "--help"), "gan evaluate ckpt="),
    (("evaluate", "--cfg", "job"), "metrics:"), (("validate", "--help"), "gan validate"),
    (("lab", "--help"), "gan lab equilibrium"), (("lab", "--list"), "Gidel 2019"), (("lab", "nonsense"), ""),
    (("lab", "lipschitz", "-c", "job"), "reach:"), (("list", "experiments"), "experiment=ring_modes"),
    (("list", "metrics"), "fid"), (("compare", "nothing"), ""), (("remove", "nothing", "yes=true"), ""),
    (("list", "runs", "--sort", "size"), "There are no runs")], first=6))
def test_light_commands_import_no_torch(arguments, part, tmp_path):
    assert part in run(*arguments, cwd=tmp_path)


def bash(*words: str) -> list[str]:
    """Return bash's completions of the last of its words (bash splits words at =)."""
    return run(_GAN_COMPLETE="complete_bash", COMP_WORDS="\n".join(words), COMP_CWORD=str(len(words) - 1)).split()


@pytest.mark.recipe  # seconds
def test_bash_splits_words_at_the_equals_sign():
    assert bash("gan", "train", "model", "=", "dc") == ["dcgan"]
    assert "dcgan" in bash("gan", "train", "seed", "=", "1", "model", "=")
    assert bash("gan", "train", "-m", "mod") == ["model.", "model="]
    assert bash("gan", "lab", "eq") == ["equilibrium"]
    assert bash("gan", "lab", "mode_seeking", "dist") == ["distances="]
    assert bash("gan", "lab", "lipschitz", "la") == ["layers="]


def test_zsh_keeps_words_whole():
    text = run(_GAN_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="gan train optimizer=adam model=dc")
    assert "model=dcgan" in text


def test_groups_keys_and_values():
    assert candidates("train", [], "model=dc") == ["model=dcgan"]
    assert candidates("train", [], "opt") == ["optimizer.", "optimizer="]
    assert candidates("train", [], "optimizer.sch") == ["optimizer.schedule."]
    assert candidates("train", [], "optimizer.schedule.n") == ["optimizer.schedule.name="]
    assert candidates("train", [], "trainer.kimg=") == ["trainer.kimg=null"]
    assert candidates("train", [], "loss.spectral_norm=") == ["loss.spectral_norm=false", "loss.spectral_norm=true"]
    assert candidates("train", ["loss=wgan"], "loss.weight_clip=") == ["loss.weight_clip=0.01"]
    assert candidates("train", ["model=gan", "broken"], "model.pie") == ["model.pieces="]
    assert candidates("train", ["loss=nope"], "see") == ["seed="]
    assert candidates("train", [], "data_dir=") == []
    assert candidates("sample", [], "ck") == ["ckpt="]


def test_options_of_a_config_dir_complete(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text("# Mine.\nname: mine\nspeed: 3\n")
    assert candidates("train", [], "model=mi", tmp_path) == ["model=mine"]
    assert candidates("train", ["model=mine"], "model.sp", tmp_path) == ["model.speed="]


def test_completion_of_nonsense_is_silent():
    assert bash("gan", "train", "a(b", "=", "'") == []


def test_runs_and_their_checkpoints_stand_behind_the_keys_that_take_them(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = tmp_path / "outputs/train/one-a1b2c3-gan-digits"
    (run / "checkpoints").mkdir(parents=True)
    (run / "status.json").write_text('{"status": "finished"}')
    assert candidates("sample", [], "ckpt=on") == ["ckpt=one-a1b2c3-gan-digits"]
    assert candidates("train", [], "resume=") == ["resume=one-a1b2c3-gan-digits"]
    assert candidates("train", [], "init=o") == ["init=one-a1b2c3-gan-digits"]
    assert candidates("sample", [], "ckpt=one-a1b2c3-gan-digits@") == []
    (run / "checkpoints/kimg-000002_500.safetensors").touch()
    assert "ckpt=one-a1b2c3-gan-digits@2.5" in candidates("sample", [], "ckpt=one-a1b2c3-gan-digits@")
    assert complete_run("one") == ["one-a1b2c3-gan-digits"]


def test_metrics_launchers_sweepers_and_experiments_complete_by_name():
    assert candidates("evaluate", [], "metrics=f") == [] and candidates("evaluate", [], "metrics=[fi") == ["metrics=[fid"]
    assert candidates("train", [], "evaluation.metrics=[swd,fi") == ["evaluation.metrics=[swd,fid"]
    assert candidates("train", [], "hydra/l") == ["hydra/launcher="]
    assert {"hydra/launcher=basic", "hydra/launcher=joblib"} <= set(candidates("train", [], "hydra/launcher="))
    assert "hydra/sweeper=basic" in candidates("train", [], "hydra/sweeper=")
    assert "hydra/sweeper=sampler" not in candidates("train", [], "hydra/sweeper=")
    assert candidates("train", [], "+experiment=ring") == ["+experiment=ring_modes"]
    assert candidates("sample", [], "hydra/l") == []


def test_the_keys_of_every_command_have_a_comment_and_stand_in_its_help():
    names = [path.stem for path in (ROOT / "conf").glob("*.yaml")]
    keys = {name: groups.own_keys(name) for name in names}
    assert len(names) >= 19 and sum(map(len, keys.values())) > 290
    assert not [key for found in keys.values() for key in found if not key.comment]
    told = CliRunner().invoke(app, ["evaluate", "--help"]).output
    assert "weights=ema" in told and "dataset.split=null" in told and "the part that is compared with" in told
    assert "hydra" not in told.partition("Keys:")[2].lower()
    assert "dcgan" in CliRunner().invoke(app, ["validate", "--help"]).output.partition("Keys:")[2]
