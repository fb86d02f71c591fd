"""Cores and memory that this process may use: the machine's, and a container's limits where there are some."""

import os
import subprocess
import sys

import pytest

from gancli import capacity

GIB = 1 << 30


@pytest.fixture
def container(tmp_path, monkeypatch):
    """A machine of 8 cores with 16 GiB free; returns a function that sets files of its container."""
    (tmp_path / "meminfo").write_text(f"MemTotal:  {32 << 20} kB\nMemAvailable:  {16 << 20} kB\nHugePages_Total:  0\n")
    monkeypatch.setattr(capacity, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(capacity, "LIMITS", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(8)), raising=False)

    def limits(**files: str) -> None:
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)

    return limits


def test_without_a_container_the_machine_counts(container):
    assert capacity.cores() == 8 and capacity.free_bytes() == 16 * GIB
    container(cpu_max="max 100000\n", memory_max="max\n", memory_current=f"{GIB}\n")
    assert capacity.cores() == 8 and capacity.free_bytes() == 16 * GIB


@pytest.mark.parametrize(("quota", "cores"), [("300000 100000", 3), ("150000 100000", 1), ("50000 100000", 1),
                                              ("6400000 100000", 8)])
def test_a_quota_of_cores(container, quota, cores):
    container(cpu_max=quota)
    assert capacity.cores() == cores


def test_a_limit_of_memory_and_files_that_can_be_dropped(container):
    container(memory_max=f"{4 * GIB}\n", memory_current=f"{3 * GIB}\n")
    assert capacity.free_bytes() == GIB
    container(memory_stat=f"anon {GIB}\ninactive_file {GIB // 2}\n")
    assert capacity.free_bytes() == 3 * GIB // 2
    container(memory_current=f"{5 * GIB}\n")
    assert capacity.free_bytes() == 0
    container(memory_max=f"{100 * GIB}\n")
    assert capacity.free_bytes() == 16 * GIB


def test_a_limit_of_the_process_counts(container, monkeypatch, tmp_path):
    (tmp_path / "statm").write_text("1000 500 1 1 0 1 0\n")
    monkeypatch.setattr(capacity, "STATM", tmp_path / "statm")
    used = 1000 * capacity.resource.getpagesize()
    monkeypatch.setattr(capacity.resource, "getrlimit", lambda which: (2 * GIB, 2 * GIB))
    assert capacity.free_bytes() == 2 * GIB - used
    monkeypatch.setattr(capacity.resource, "getrlimit", lambda which: (used // 2, -1))
    assert capacity.free_bytes() == 0
    (tmp_path / "statm").unlink()
    assert capacity.free_bytes() == 16 * GIB


def test_what_says_that_memory_is_exhausted():
    assert capacity.lacks_memory(MemoryError()) and capacity.lacks_memory(type("OutOfMemoryError", (RuntimeError,), {})())
    assert capacity.lacks_memory(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"))
    assert not capacity.lacks_memory(RuntimeError("shapes differ")) and not capacity.lacks_memory(ValueError())


def test_where_the_system_does_not_say(container, monkeypatch, tmp_path):
    monkeypatch.setattr(capacity, "MEMINFO", tmp_path / "none")
    assert capacity.free_bytes() is None
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert capacity.cores() == 1


def test_no_torch_is_needed():
    code = "import sys, gancli.capacity, gancli.sweeps.machine; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
