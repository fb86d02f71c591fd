"""Places and words that a command line may hold by accident: one sentence each, and nothing written there."""

import errno
import os

import pytest
from planning import SMALL_NETWORKS, TINY, plan
from typer.testing import CliRunner

from gancli.cli import bridge, main
from gancli.cli.train import task
from gancli.errors import UsageError, UserError

GAN = ("model=gan", *SMALL_NETWORKS["gan"], *TINY)


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
