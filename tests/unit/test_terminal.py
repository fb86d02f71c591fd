"""What is said to a person: nothing that befalls the terminal ends the work; signals that mean its end save first."""

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gancli.engine.stopping import StopRequest, handlers_restored, stop_signals
from gancli.monitor.screen import Screen
from gancli.monitor.terminal import printable, tell

SAY = "import sys; from gancli.monitor.terminal import open_streams, tell; open_streams(); "


def closed_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w", buffering=1)


def closed_file():
    file = open(os.devnull, "w")
    file.close()
    return file


def full_disk():
    return open("/dev/full", "w", buffering=1)


def lost_terminal():
    master, terminal = pty.openpty()
    os.close(master)
    return os.fdopen(terminal, "w", buffering=1)


GONE = [closed_pipe, closed_file, lost_terminal, *([full_disk] if Path("/dev/full").exists() else [])]


@pytest.mark.parametrize("gone", GONE)
@pytest.mark.parametrize("terminal", [True, False])
def test_a_screen_outlives_its_terminal(gone, terminal, monkeypatch):
    monkeypatch.setattr("gancli.monitor.screen.LINE_EVERY_S", 0)
    monkeypatch.setattr("rich.console.Console.is_terminal", terminal)
    monkeypatch.setattr(sys, "stderr", gone())
    screen = Screen("training", 4000)
    for done in range(0, 4001, 500):
        screen.update(done, "loss")
        screen.say("a line")
        screen.describe("measuring")
    screen.close()
    tell("a line")
    assert screen.live is None or not screen.live.is_started


def test_a_screen_says_what_there_is_to_say_again_and_again(monkeypatch, capsys):
    monkeypatch.setattr("gancli.monitor.screen.LINE_EVERY_S", 0)
    screen = Screen("training", 4000)
    screen.update(1000)
    screen.say("a line \ud800 that no terminal takes")
    screen.update(2000)
    assert "2/4 kimg" in capsys.readouterr().err


@pytest.mark.parametrize("closing", ["2>&-", "1>&- 2>&-", "0<&- 1>&- 2>&-"])
def test_closed_streams_are_no_files_that_are_opened_later(closing, tmp_path):
    code = SAY + "file = open('x', 'wb'); tell('said'); print('said', file=sys.stderr); file.write(b'own'); file.close(); " \
        "import os; os.write(2, b'said')"
    done = subprocess.run(["sh", "-c", f'exec "$0" -c "$1" {closing}', sys.executable, code], cwd=tmp_path)
    assert done.returncode == 0 and (tmp_path / "x").read_bytes() == b"own"


def test_a_closed_pipe_does_not_change_the_exit_code(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", SAY + "sys.stdin.read(); [tell('line') for _ in range(9)]"],
                               stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stderr.close()
    process.stdin.close()
    assert process.wait(30) == 0


def test_a_terminal_that_is_gone_asks_a_run_to_stop():
    with handlers_restored(), StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.why == "SIGHUP"
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_DFL


def test_nohup_is_respected():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert signal.SIGHUP not in stop_signals()
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.why is None
    finally:
        signal.signal(signal.SIGHUP, before)
    assert signal.SIGHUP in stop_signals()


def test_what_could_take_over_a_terminal_is_not_printed():
    assert printable("a\x1b[2J\x9b\u202eb\nc") == "a?[2J??b\nc"
