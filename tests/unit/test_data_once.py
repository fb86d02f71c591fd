"""What several processes need is made by one of them, on machines of other names and without locks, too."""

import os
import signal
import socket
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gancli.data import once
from gancli.data.dataset import open_source
from gancli.data.download import claims_of, download, wait_for_download
from gancli.data.store import decode, store_path
from gancli.errors import UserError
from gancli.runs import locks, owner
from gancli.runs.owner import claim


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(once, "WAIT_S", 0.02)


def forked(work) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        code = int(work() or 0)
    finally:
        os._exit(code)


def code_of(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def named(host: str) -> None:
    """Be on a machine of another name, whose locks this one does not see."""
    socket.gethostname = lambda: host
    locks.fcntl = None


@pytest.mark.parametrize("hosts", [("here", "here"), ("one", "another")])
def test_of_many_processes_one_makes_and_the_others_wait(hosts, tmp_path):
    made, ready = tmp_path / "made", tmp_path / "ready"

    def make() -> bool:
        with open(made, "a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(0.3)
        ready.touch()
        return True

    def work(host: str) -> int:
        named(host)
        return not once.made_once(tmp_path / "claims", lambda: ready.exists() or None, make, "makes it")

    children = [forked(lambda host=hosts[number % 2]: work(host)) for number in range(6)]
    assert [code_of(child) for child in children] == [0] * 6
    assert len(made.read_text().splitlines()) == 1


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_first_that_died_is_noticed(elsewhere, tmp_path, monkeypatch, capsys):
    claims = tmp_path / "claims"
    reader, writer = os.pipe()

    def die() -> None:
        if elsewhere:
            named("another")
        with claim(claims):
            os.write(writer, b"x")
            os.kill(os.getpid(), signal.SIGKILL)

    assert code_of(forked(die)) == -signal.SIGKILL and os.read(reader, 1)
    monkeypatch.setattr(owner, "QUIET_S", 0.5)  # another machine's process is gone when it has not been heard of for so long
    begun = time.monotonic()
    assert once.made_once(claims, lambda: None, lambda: "mine", "makes it") == "mine"
    waited = time.monotonic() - begun
    assert ("process" in capsys.readouterr().err) == elsewhere and (waited > 0.3) == elsewhere


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "pictures").mkdir()
    random = np.random.default_rng(0)
    for i in range(12):
        Image.fromarray(random.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / "pictures" / f"{i}.png")
    return tmp_path / "pictures"


def source_of(folder: Path, data_dir: Path):
    from omegaconf import OmegaConf

    from gancli.config.compose import compose

    cfg = compose("train", ["dataset=folder", f"dataset.path={folder}", "dataset.size=8"])
    return open_source(OmegaConf.to_container(cfg.dataset, resolve=True), data_dir)


def test_two_machines_decode_a_shared_folder_once(folder, tmp_path):
    data_dir, decoded = tmp_path / "data", tmp_path / "decoded"

    def work(host: str) -> int:
        named(host)
        source = source_of(folder, data_dir)
        blocks = source.blocks

        def counted():
            with open(decoded, "a") as file:
                file.write(f"{host}\n")
            time.sleep(0.3)
            return blocks()

        source.blocks = counted
        data = decode(source, source.inspect(), "mmap", lambda done, total: None)
        return not (len(data.examples[0]) == 12 and data.path is not None)

    children = [forked(lambda host=host: work(host)) for host in ("one", "another", "third")]
    assert [code_of(child) for child in children] == [0] * 3
    assert len(decoded.read_text().splitlines()) == 1
    assert store_path(source_of(folder, data_dir)).is_file()


def test_a_store_that_cannot_be_written_is_one_sentence_or_stays_in_memory(folder, tmp_path, monkeypatch):
    source = source_of(folder, tmp_path / "data")

    def read_only(*arguments):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(once, "claim", read_only)
    with pytest.raises(UserError, match=r"cannot be kept in .*\(Read-only file system\): give data_dir=FOLDER"):
        decode(source, source.inspect(), "mmap", lambda done, total: None)
    assert decode(source, source.inspect(), "auto", lambda done, total: None).path is None
    assert "cannot be written (Read-only file system)" in source.notes[-1]


def test_one_of_two_machines_downloads(tmp_path):
    fetched, file = tmp_path / "fetched", tmp_path / "data" / "set" / "a.bin"

    def fetch() -> None:
        with open(fetched, "a") as log:
            log.write("x\n")
        file.parent.mkdir(parents=True)
        file.write_bytes(b"half")
        time.sleep(0.3)
        file.write_bytes(b"whole")

    def work(host: str) -> int:
        named(host)
        wait_for_download("set", tmp_path / "data")  # else a half file would be taken for the whole
        if not file.exists():
            download("set", fetch, tmp_path / "data", "set/a.bin", "a page", 0, file.exists)
        return file.read_bytes() != b"whole"

    children = [forked(lambda host=host: work(host)) for host in ("one", "another")]
    assert [code_of(child) for child in children] == [0, 0] and fetched.read_text() == "x\n"


def test_a_download_that_fails_leaves_nothing(tmp_path):
    def fetch() -> None:
        raise RuntimeError("no network")

    with pytest.raises(UserError, match="cannot be downloaded .no network"):
        download("set", fetch, tmp_path / "data", "set/a.bin", "a page", 0, lambda: False)
    assert list(tmp_path.iterdir()) == [] and not claims_of("set", tmp_path / "data").exists()
