"""Jobs forked from a warm process (torch-free; a recipe test compares the weights of such jobs)."""

import os
import signal
import subprocess
import sys

import pytest

from gancli.sweeps import isolation, warm
from gancli.sweeps.warm import Gone, Warm

ENVIRONMENT = {"PROBE": "told"}
# A job that is told on its stream what to do, and says how often the process that it is has run one.
PROBE = """
import os, signal, sys
from gancli.sweeps import child, warm
runs = []
def job():
    runs.append(1)
    order = sys.stdin.buffer.readline().decode().strip()
    print(len(runs), os.environ.get("PROBE"), signal.SIGTERM in signal.pthread_sigmask(signal.SIG_BLOCK, []))
    os.environ["PROBE"] = "changed"
    if order == "wait":
        sys.stdin.buffer.read()
    elif order == "fail":
        raise ValueError("on purpose")
    sys.exit(7)
child.main, warm.IMPORTED, warm.PACKAGES = job, (), ()
warm.main()
"""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(warm, "SERVER", [sys.executable, "-c", PROBE])
    started = Warm()
    yield started
    started.socket.close()
    assert started.process.wait(10) == 0, "ends with the worker"


def begun(server, path, order):
    with open(path, "ab") as console:
        job = server.start(console, ENVIRONMENT)
    job.stdin.write(f"{order}\n".encode())
    job.stdin.flush()
    return job


def test_forked_jobs_share_nothing_but_imports(server, tmp_path):
    path = tmp_path / "console.txt"
    assert [begun(server, path, order).wait(10) for order in ("end", "fail", "end")] == [7, 1, 7]
    text = path.read_text()
    assert text.count("1 told True\n") == 3, "no job sees what another one left, and signals wait for handlers"
    assert "ValueError: on purpose" in text


def test_a_forked_job_is_stopped_and_killed(server, tmp_path):
    job = begun(server, tmp_path / "console.txt", "wait")
    with pytest.raises(subprocess.TimeoutExpired):
        job.wait(0.2)
    job.terminate()
    assert job.wait(10) == 7, "the end of its stream is its word to stop"
    job = begun(server, tmp_path / "console.txt", "wait")
    job.kill()
    assert job.wait(10) == -signal.SIGKILL


def test_a_job_whose_forking_process_dies_stops_and_another_one_is_started(monkeypatch, tmp_path):
    monkeypatch.setattr(warm, "SERVER", [sys.executable, "-c", PROBE])
    monkeypatch.setattr(isolation, "_warm", [Warm()])
    first = isolation._warm[0]
    job = begun(first, tmp_path / "console.txt", "wait")
    first.process.kill()
    assert job.wait(10) == -signal.SIGKILL
    with pytest.raises(Gone), open(os.devnull, "wb") as console:
        first.start(console, {})
    first.process.wait()
    with open(tmp_path / "console.txt", "ab") as console:
        job = isolation._forked(console, ENVIRONMENT)
    job.terminate()
    assert job.wait(10) == 7 and isolation._warm[0] is not first
    isolation._warm[0].socket.close()
    isolation._warm[0].process.wait()
