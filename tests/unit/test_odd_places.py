"""Places and words that a command line may hold by accident: one sentence each, and nothing written there."""

import errno
import os
import resource

import numpy as np
import pytest
from PIL import Image
from planning import SMALL_NETWORKS, TINY, plan, run
from typer.testing import CliRunner

from gancli.cli import bridge, main
from gancli.cli.train import task
from gancli.engine.training import train
from gancli.errors import UsageError, UserError
from gancli.monitor.grids import save_gif, save_mp4, save_png

GAN = ("model=gan", *SMALL_NETWORKS["gan"], *TINY)

pytestmark = pytest.mark.recipe


@pytest.mark.parametrize("place", ["", "/", ".", "~", "a" * 300, "b/" + "c" * 256])
def test_a_run_has_a_folder_of_its_own(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="folder of the run's own|more than 255 bytes"):
        plan(os.path.expanduser(place), *GAN)
    assert list(tmp_path.iterdir()) == []


def test_hydra_has_two_modes():
    with pytest.raises(UsageError, match="hydra.mode takes RUN or MULTIRUN, not BOGUS"):
        bridge.run(task, "train", ["hydra.mode=BOGUS"])


@pytest.mark.parametrize("number", [errno.EACCES, errno.ENOSPC, errno.ENAMETOOLONG])
def test_what_befalls_files_is_one_sentence(number, monkeypatch):
    def fail(*arguments):
        raise OSError(number, os.strerror(number), "somewhere")

    monkeypatch.setattr("gancli.config.groups.options", fail)
    done = CliRunner().invoke(main.app, ["list", "models"])
    assert done.exit_code == 1 and done.stderr == f"Error: somewhere: {os.strerror(number)}.\n"


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    def fail(*arguments):
        raise OSError(errno.EBADF, "bad descriptor")

    monkeypatch.setattr("gancli.config.groups.options", fail)
    assert isinstance(CliRunner().invoke(main.app, ["list", "models"]).exception, OSError)


@pytest.mark.parametrize("setting", ["optimizer.lr=inf", "trainer.kimg=inf", "trainer.epochs=-inf", "trainer.ema_kimg=inf",
                                     "optimizer.betas=[0.5,inf]", "trainer.sample_kimg=inf", "trainer.kimg=1e999",
                                     "evaluation.kimg=inf", "loss.weight_clip=inf"])
def test_an_infinite_number_is_no_setting(setting, tmp_path):
    with pytest.raises(UsageError, match=rf"{setting.partition('=')[0]} must be a finite number, not -?inf"):
        plan(tmp_path / "run", *GAN, setting)


@pytest.mark.parametrize(("name", "told"), [("nan", "nan; did you mean none"),
                                            ("[[[[]]]]", r"\[\[\[\[\]\]\]\]; there is ada")])
def test_a_name_that_is_no_word_is_none_that_there_is(name, told, tmp_path):
    with pytest.raises(UsageError, match=f"no augmentation called {told}"):
        plan(tmp_path / "run", *GAN, f"augment.name={name}")


@pytest.mark.parametrize("setting", ["trainer.kimg=1e308", "optimizer.lr=1e19", "trainer.batch_size=" + "9" * 400,
                                     "seed=" + "9" * 19])
def test_no_counter_counts_so_far(setting, tmp_path):
    with pytest.raises(UsageError, match=rf"{setting.partition('=')[0]} must be at most 2\^63"):
        plan(tmp_path / "run", *GAN, setting)


@pytest.mark.parametrize("key", ["discriminator_turns", "unrolled"])
def test_a_round_has_an_end(key, tmp_path):
    with pytest.raises(UsageError, match=f"trainer.{key} must be at least . and at most 10000, not 100000000"):
        plan(tmp_path / "run", *GAN, f"trainer.{key}=100000000")


def test_brackets_have_an_end():
    with pytest.raises(UsageError, match="nests too deeply"):
        bridge.run(task, "train", ["trainer.kimg=" + "[" * 3000 + "]" * 3000])


@pytest.mark.parametrize("values", [("seed=range(0,1000000000000)",), ("seed=shuffle(range(0,1e12))",),
                                    ("seed=range(0,1000)", "trainer.kimg=range(1,1000)")])
def test_a_sweep_has_an_end(values, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="more than 100,000 jobs"):
        bridge.run(task, "train", list(values), multirun=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", ["hydra.mode=MULTIRUN", "++hydra.mode='multirun'", '+hydra.mode="MULTIRUN"'])
def test_a_command_that_makes_no_sweeps_makes_none(given, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command in ("validate", "sample"):
        done = CliRunner().invoke(main.app, [command, given], prog_name="gan")
        assert done.exit_code == 2 and "makes no sweeps" in done.stderr
    done = CliRunner().invoke(main.app, ["validate", "hydra={mode:MULTIRUN}", "dataset=folder"], prog_name="gan")
    assert done.exit_code == 1 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried ...")])
def test_memory_that_ends_is_one_sentence(error, monkeypatch):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("gancli.config.groups.options", fail)
    done = CliRunner().invoke(main.app, ["list", "models"])
    assert done.exit_code == 1 and done.stderr.startswith("Error: The memory is exhausted: give smaller sizes")


def test_damaged_data_leave_no_folder_of_a_run(tmp_path):
    """The damage is found when they are decoded, which is after the run's folder was made."""
    for i in range(8):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{i}.png")
    content = (tmp_path / "7.png").read_bytes()
    (tmp_path / "7.png").write_bytes(content[:-40])
    settings = ("model=gan", *SMALL_NETWORKS["gan"], *TINY, "dataset=folder", f"dataset.path={tmp_path}",
                "dataset.broken=fail", "trainer.kimg=0.008")
    with pytest.raises(UserError, match="7.png"):
        train(plan(tmp_path / "runs/a", *settings))
    assert not (tmp_path / "runs/a").exists()
    (tmp_path / "7.png").write_bytes(content)
    run(tmp_path / "runs/a", *settings)
    (tmp_path / "7.png").write_bytes(content[:-40])
    with pytest.raises(UserError, match="7.png"):
        train(plan(tmp_path / "runs/a", *settings, "trainer.kimg=0.016"))
    assert (tmp_path / "runs/a/checkpoints").exists() and (tmp_path / "runs/a/status.json").exists()


@pytest.mark.parametrize(("save", "name"), [(save_gif, "a.gif"), (save_mp4, "a.mp4"), (save_png, "a.png")])
def test_a_full_disk_leaves_no_half_of_a_picture(save, name, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (tmp_path / name).write_bytes(b"an earlier one")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4000, limits[1]))
    try:
        with pytest.raises(OSError):
            save(tmp_path / name, noise if save is save_png else [noise] * 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [path.name for path in tmp_path.iterdir()] == [name] and (tmp_path / name).read_bytes() == b"an earlier one"
    save(tmp_path / name, noise if save is save_png else [noise] * 20)
    assert (tmp_path / name).stat().st_size > 4000
