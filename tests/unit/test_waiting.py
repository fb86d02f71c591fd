"""How threads wait is chosen by what others do on the machine, before torch loads."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from gancli import waiting
from gancli.engine import threads
from gancli.engine.recording import neighbors
from gancli.engine.recording.neighbors import LOOKS, Neighbors
from gancli.runs.provenance import write_provenance
from gancli.waiting import Moment, crowded, others_cores

CPU = torch.device("cpu")


def test_what_others_keep_busy_is_the_machine_less_this_process():
    assert others_cores(Moment(10, 100, 5), Moment(12, 103, 6)) == 1.0  # 3 s of cores in 2 s, 1 s of them ours
    assert others_cores(Moment(10, 100, 5), Moment(12, 101, 6.5)) == 0.0  # ticks are coarse
    assert others_cores(None, Moment(12, 103, 6)) == others_cores(Moment(10, 100, 5), None) == 0.0


def test_the_kernel_is_read_as_it_writes(tmp_path, monkeypatch):
    stat, second = tmp_path / "stat", os.sysconf("SC_CLK_TCK")
    monkeypatch.setattr(waiting, "STAT", stat)
    stat.write_text(f"cpu  {3 * second} 0 {second} {50 * second} {7 * second} 0 0 {second} 9 9\ncpu0 1 2 3 4\n")
    assert Moment.now().machine == 5.0  # user, system and stolen; neither idle nor waiting for a disk
    stat.write_text("nothing like it\n")
    assert Moment.now() is None


@pytest.mark.parametrize("others, threads, expected", [(1.0, 2, True), (0.2, 2, False), (0.3, 2, True), (1, 1, False)])
def test_threads_that_would_share_cores_are_crowded(others, threads, expected, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert crowded(others, threads) is expected


def test_cores_to_spare_are_no_crowd(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 16)
    assert not crowded(3.0, 8)
    assert crowded(9.0, 8)


@pytest.fixture
def busy(monkeypatch):
    """A machine of two cores of which others keep one busy, before torch is imported."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(waiting, "cores", lambda: 2)
    monkeypatch.setattr(waiting, "_said", [])
    monkeypatch.setattr(waiting, "BEGUN", Moment(0, 0, 0))
    monkeypatch.setattr(Moment, "now", lambda: Moment(1, 1, 0))
    monkeypatch.setattr(waiting.time, "monotonic", lambda: 1.0)
    monkeypatch.delitem(sys.modules, "torch")


@pytest.mark.parametrize("given, chosen", [({}, True), ({"OMP_WAIT_POLICY": "active"}, False),
                                           ({"GOMP_SPINCOUNT": "0"}, False), ({"OMP_NUM_THREADS": "1"}, False),
                                           ({"OMP_NUM_THREADS": "2"}, True)])
def test_the_users_word_counts(busy, given, chosen):
    environment = dict(given)
    waiting.choose(environment)
    assert (environment.get("OMP_WAIT_POLICY") == "passive") is chosen and bool(waiting.said()) is chosen


def test_a_quiet_machine_is_left_alone(busy, monkeypatch):
    monkeypatch.setattr(Moment, "now", lambda: Moment(1, 1, 0.9))
    environment = {}
    waiting.choose(environment)
    assert environment == {} and not waiting.said()


def test_it_is_chosen_without_torch():
    code = "import sys, gancli.cli.main, gancli.waiting as w; w.choose(); print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_run_among_busy_neighbors_says_so_once(busy, monkeypatch):
    clock = iter(range(9))
    monkeypatch.setattr(neighbors.Moment, "now", lambda: Moment(second := next(clock), second * 1.5, second * 0.5))
    monkeypatch.setattr(neighbors.torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(neighbors, "spins", lambda: True)
    watch = Neighbors(CPU, 1)
    notices = [watch.notice() for _ in range(4)]
    assert [notice is not None for notice in notices] == [number == LOOKS - 1 for number in range(4)]
    assert "resume=" in notices[LOOKS - 1]
    assert Neighbors(CPU, 2).notice() is None  # its neighbors are its ranks


@pytest.mark.parametrize("recorded, environment, expected", [(1, {}, [1]), (3, {}, []), (True, {}, []), ("1", {}, []),
                                                             (1, {"OMP_NUM_THREADS": "2"}, [])])
def test_a_continued_run_keeps_its_number_of_threads(recorded, environment, expected, tmp_path, monkeypatch):
    taken: list[int] = []
    write_provenance(tmp_path, {"threads": recorded})
    monkeypatch.setattr(threads, "cores", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", taken.append)
    monkeypatch.setattr(os, "environ", environment)
    threads.as_before(SimpleNamespace(checkpoint=tmp_path, ranks=1, run_dir=tmp_path))
    assert taken == expected
    threads.as_before(SimpleNamespace(checkpoint=None, ranks=1, run_dir=tmp_path))
    assert taken == expected
