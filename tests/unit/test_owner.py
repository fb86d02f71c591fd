"""One process trains in a run's folder: by a lock, and by a record that other machines see."""

import json
import os
import shutil
import socket
import time

import pytest
from planning import SMALL_NETWORKS, TINY, plan, run

from gancli.engine.recording.gallery import Gallery
from gancli.engine.training import train
from gancli.errors import UserError
from gancli.runs import locks, owner
from gancli.runs.owner import FILE, LOCK, QUIET_S, owned
from gancli.runs.status import read_status

GAN = ("model=gan", *SMALL_NETWORKS["gan"], *TINY, "trainer.checkpoint_kimg=0.004", "trainer.precision=fp32")
ELSEWHERE = {"host": "another", "pid": 7, "process_started": 1, "since": "2026-01-01T00:00:00+00:00", "token": "abc"}


def test_a_folder_has_one_owner_at_a_time(tmp_path):
    with owned(tmp_path / "run"):
        assert json.loads((tmp_path / "run" / FILE).read_text())["pid"] == os.getpid()
        with pytest.raises(UserError, match=f"trained by process {os.getpid()} on {socket.gethostname()}"):
            with owned(tmp_path / "run"):
                pass
    with owned(tmp_path / "run"):
        pass
    assert [path.name for path in (tmp_path / "run").iterdir()] == [LOCK]


@pytest.mark.parametrize("lockable", [True, False])
def test_of_many_starts_at_one_moment_one_trains(lockable, tmp_path, monkeypatch):
    if not lockable:
        monkeypatch.setattr(locks, "fcntl", None)
        (tmp_path / FILE).write_text(json.dumps(ELSEWHERE | {"host": socket.gethostname(), "pid": os.getppid(),
                                                             "process_started": None}))
    gate, opener = os.pipe()
    children, codes = [_start(tmp_path, gate) for _ in range(8)], []
    deadline = time.monotonic() + 60
    while len(codes) < (7 if lockable else 8) and time.monotonic() < deadline:
        pid, status = os.waitpid(-1, os.WNOHANG)
        codes += [os.waitstatus_to_exitcode(status)] if pid in children else []
        time.sleep(0.01)
    os.close(opener)  # lets go whoever got in
    codes += [os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]) for _ in range(8 - len(codes))]
    assert codes == [1] * 7 + ([0] if lockable else [1])


def _start(folder, gate):
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        with owned(folder):
            os.close(gate + 1)
            os.read(gate, 1)
        code = 0
    finally:
        os._exit(code)


def test_an_owner_on_another_machine_lives_while_it_is_heard_of(tmp_path):
    path = tmp_path / FILE
    path.write_text(json.dumps(ELSEWHERE))
    with pytest.raises(UserError, match="process 7 on another, since 2026"):
        with owned(tmp_path):
            pass
    os.utime(path, (time.time() - QUIET_S - 1,) * 2)
    with owned(tmp_path):
        assert json.loads(path.read_text())["pid"] == os.getpid()


@pytest.mark.parametrize("text", ["", "[]", '{"host": 1}', "[" * 100_000])
def test_a_damaged_record_of_the_owner_owns_nothing(text, tmp_path):
    (tmp_path / FILE).write_text(text)
    with owned(tmp_path):
        assert json.loads((tmp_path / FILE).read_text())["pid"] == os.getpid()


def test_the_owner_is_heard_of(tmp_path, monkeypatch):
    monkeypatch.setattr(owner, "BEAT_S", 0.01)
    with owned(tmp_path):
        os.utime(tmp_path / FILE, (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / FILE).stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert (tmp_path / FILE).stat().st_mtime > 0


def test_a_second_start_says_who_trains_and_leaves_the_run_alone(tmp_path):
    second = plan(tmp_path / "run", *GAN, "trainer.kimg=0.008")
    with owned(tmp_path / "run"), pytest.raises(UserError, match=f"process {os.getpid()}"):
        train(second)
    assert read_status(tmp_path / "run") is None


def test_a_plan_that_another_process_has_overtaken_is_not_played(tmp_path):
    slow = plan(tmp_path / "run", *GAN, "trainer.kimg=0.008")
    run(tmp_path / "run", *GAN, "trainer.kimg=0.008")
    with pytest.raises(UserError, match="trained by another process meanwhile"):
        train(slow)
    assert read_status(tmp_path / "run").status == "finished"


@pytest.mark.parametrize("removed", [".", "samples"])
def test_a_folder_that_is_removed_ends_its_run_and_is_not_made_again(removed, tmp_path, monkeypatch):
    hang = Gallery.hang

    def remove(gallery, images):
        while images and (tmp_path / "run" / removed).exists():  # threads are still writing there
            shutil.rmtree(tmp_path / "run" / removed, ignore_errors=True)
        return hang(gallery, images)

    monkeypatch.setattr(Gallery, "hang", remove)
    with pytest.raises(UserError, match="gone: a folder of the run was removed|was removed while its run trained"):
        run(tmp_path / "run", *GAN, "trainer.kimg=0.04", "trainer.sample_kimg=0.008")
    assert (tmp_path / "run").exists() == (removed != ".")


def test_a_record_that_comes_after_the_look_is_anothers(tmp_path, monkeypatch):
    """As where two machines that do not see each other's locks claim a folder at one moment."""
    monkeypatch.setattr(locks, "fcntl", None)
    look, theirs = owner._owner, owner.Owner(**ELSEWHERE)

    def late(folder):
        found = look(folder)
        if found is None:
            assert owner._is_first(folder, theirs)
        return found

    monkeypatch.setattr(owner, "_owner", late)
    with pytest.raises(owner.Taken):
        owner.claim(tmp_path)
    assert look(tmp_path) == theirs and sorted(path.name for path in tmp_path.iterdir()) == [LOCK, FILE]


def test_a_rank_that_is_started_again_waits_for_an_owner_on_a_lost_node(tmp_path, monkeypatch, capsys):
    elsewhere = {"host": "elsewhere", "pid": 1, "process_started": 1, "since": "2026-01-01T00:00:00+00:00", "token": "t"}
    (tmp_path / owner.FILE).write_text(json.dumps(elsewhere))
    with pytest.raises(UserError, match="process 1 on elsewhere"), owner.owned(tmp_path):
        pass
    slept = []

    def silent_after_three(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            long_ago = time.time() - owner.QUIET_S - 1
            os.utime(tmp_path / owner.FILE, (long_ago, long_ago))

    monkeypatch.setattr(owner.time, "sleep", silent_after_three)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with owner.owned(tmp_path):
        assert json.loads((tmp_path / owner.FILE).read_text())["pid"] == os.getpid()
    assert len(slept) == 3 and capsys.readouterr().err.count("Waiting until process 1 on elsewhere") == 1
