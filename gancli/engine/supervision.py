"""Ranks started on this machine, as processes that this one looks after until the last has ended.

Whatever happens to one of them, all end: a rank that fails takes the others down, and none outlives this process.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait

import torch.distributed as distributed

from gancli.devices import share_cores
from gancli.engine.failing import sentence, tell_failure
from gancli.engine.plan import Outcome, Plan
from gancli.engine.stopping import stop_signals
from gancli.engine.watching import last_good
from gancli.errors import UserError
from gancli.ranks import shards
from gancli.ranks.joining import joined
from gancli.ranks.shards import LostRank, Place

GRACE_S = 5.0  # in which the other ranks may end by themselves once one has failed
HERE = "127.0.0.1"
Play = Callable[[Plan], Outcome]


class RankFailed(RuntimeError):
    """A rank raised an exception that is nobody's typing mistake; its traceback is this one's cause."""


class _Traceback(Exception):
    """The text of a traceback in another process."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


@dataclass
class Report:
    """How a rank ended, in its own words."""

    rank: int
    outcome: Outcome | None = None
    why: str = ""
    trace: str = ""
    exit_code: int | None = None  # of a user's mistake
    lost: bool = False  # it only missed another rank
    interrupted: bool = False

    @classmethod
    def of(cls, rank: int, error: BaseException) -> "Report":
        """Return the report on an exception."""
        return cls(rank, None, sentence(error), "".join(traceback.format_exception(error)),
                   error.exit_code if isinstance(error, UserError) else None, isinstance(error, LostRank),
                   isinstance(error, KeyboardInterrupt))


def on_every_rank(play: Play, plan: Plan) -> Outcome:
    """Call `play(plan)` on each of the plan's ranks and return what rank 0 returned.

    With one rank, or where torchrun has started the ranks, that is a plain call.

    Raises:
        UserError: as a rank raised it, or a rank was killed.
        RankFailed: a rank raised anything else.
    """
    if plan.ranks == shards.world():
        return play(plan)
    return Family(play, plan).outcome()


class Family:
    """The ranks of a plan, as child processes; `play` is a function of a module, since each finds it by its name."""

    def __init__(self, play: Play, plan: Plan) -> None:
        self.plan = plan
        self.reports: dict[int, Report] = {}
        self.killed: dict[int, int] = {}  # signals that ended ranks, and that this process has not sent
        self.forwarded: set[int] = set()
        self.store = distributed.TCPStore(HERE, 0, is_master=True, wait_for_workers=False)
        context = multiprocessing.get_context("spawn")
        self.pipes: dict[int, Connection] = {}
        self.processes = []
        with _deaf():  # a Ctrl-C while they start must not end them one by one
            for rank in range(plan.ranks):
                self.pipes[rank], end = context.Pipe(duplex=False)
                self.processes.append(context.Process(target=_live, args=(rank, self.store.port, play, plan, end)))
                self.processes[-1].start()
                end.close()

    def outcome(self) -> Outcome:
        """Wait for the ranks to end and return or raise what that comes to."""
        try:
            with self._forwarding():
                self._watch()
        finally:
            for process in self.processes:
                process.kill()
                process.join()
        return self._verdict()

    def _watch(self) -> None:
        """Collect reports until all have ended; from the first failure on, the others have GRACE_S."""
        alive, deadline = dict(enumerate(self.processes)), None
        while alive:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            wait([*(process.sentinel for process in alive.values()), *self.pipes.values()], left)
            for rank in list(self.pipes):
                self._read(rank)
            for rank, process in list(alive.items()):
                if process.exitcode is None:
                    continue
                del alive[rank]
                if process.exitcode < 0 and -process.exitcode not in self.forwarded:
                    self.killed[rank] = -process.exitcode
                if process.exitcode != 0 and deadline is None:
                    deadline = time.monotonic() + GRACE_S
            if deadline is not None and time.monotonic() >= deadline:
                return

    def _read(self, rank: int) -> None:
        pipe = self.pipes[rank]
        try:
            if pipe.poll():
                self.reports[rank] = pipe.recv()
                del self.pipes[rank]
        except (EOFError, OSError):  # it ended without a word
            del self.pipes[rank]

    def _verdict(self) -> Outcome:
        """Return rank 0's outcome, or raise the failure that came first: a killed rank, then an error, then a loss."""
        for rank, number in self.killed.items():
            pid, name = self.processes[rank].pid, signal.Signals(number).name
            why = f"Rank {rank} of {self.plan.ranks} (process {pid}) was killed by {name}"
            tell_failure(self.plan, why, "")
            raise UserError(f"{why}. {last_good(self.plan.run_dir)} Continue with resume={self.plan.run_dir}")
        failures = sorted((report for report in self.reports.values() if report.outcome is None),
                          key=lambda report: (report.lost, report.rank))
        if any(report.interrupted for report in failures):
            raise KeyboardInterrupt
        obeyed = any(-(process.exitcode or 0) in self.forwarded for process in self.processes)  # at once
        if failures and not (obeyed and all(report.lost for report in failures)):
            self._raise(failures[0])
        if 0 in self.reports:
            return self.reports[0].outcome
        if self.forwarded:
            return Outcome("stopped", self.plan.run_dir, {})  # before the first round
        codes = {rank: process.exitcode for rank, process in enumerate(self.processes)}
        tell_failure(self.plan, f"The ranks ended without a report, with exit codes {codes}", "")
        raise RankFailed(f"the ranks ended without a report, with exit codes {codes}")

    def _raise(self, report: Report) -> None:
        if report.rank > 0:  # rank 0 has written its own
            tell_failure(self.plan, f"Rank {report.rank} of {self.plan.ranks}: {report.why}", report.trace)
        if report.exit_code is None:
            raise RankFailed(f"rank {report.rank} of {self.plan.ranks} failed: {report.why}") from _Traceback(report.trace)
        error = UserError(report.why)
        error.exit_code = report.exit_code
        raise error

    @contextmanager
    def _forwarding(self) -> Iterator[None]:
        """Hand what asks this process to stop on to the ranks, which agree on when to."""

        def forward(number: int, frame) -> None:
            self.forwarded.add(number)
            for process in self.processes:
                if process.exitcode is None:
                    os.kill(process.pid, number)

        before = {}
        if threading.current_thread() is threading.main_thread():
            before = {number: signal.signal(number, forward) for number in stop_signals()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _deaf() -> Iterator[None]:
    """Ignore Ctrl-C, and let processes that start meanwhile ignore it until they say otherwise."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _live(rank: int, port: int, play: Play, plan: Plan, pipe: Connection) -> None:
    """Be a rank, in a process of its own, and report how that ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if hasattr(os, "setsid"):
        os.setsid()  # a terminal's Ctrl-C reaches the parent only, which hands it on
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.path.exists("/sys/class/net/lo"):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the machine's name need not lead anywhere
    if rank > 0:
        warnings.simplefilter("ignore")  # rank 0 says the same
    share_cores(plan.ranks)
    try:
        store = distributed.TCPStore(HERE, port, is_master=False)
        with joined(Place(rank, plan.ranks, rank), store):
            outcome = play(plan)
        pipe.send(Report(rank, outcome))
    except BaseException as error:
        pipe.send(Report.of(rank, error))
        os._exit(1)  # the interpreter's own end would wait for ranks that may hang


def _end_with_parent() -> None:
    """End this process when its parent has ended, however that came."""
    wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
