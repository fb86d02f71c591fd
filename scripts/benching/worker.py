"""One contestant in a process of its own: trains so many seconds when told to, and says how far it came.

`python worker.py ours|reference|expert WORKLOAD JSON` prints one JSON line a request read from standard input:
"warm", "run SECONDS", "count", "profile ROUNDS".
"""

import json
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from gancli import waiting  # noqa: E402

if sys.argv[1:2] == ["ours"]:
    waiting.choose()  # before torch loads, as `gan` does

import numpy as np  # noqa: E402
import torch  # noqa: E402

from benching.ceiling import ceilings, needs, synchronize  # noqa: E402
from benching.expert import expert_steps  # noqa: E402
from benching.reference import by_library  # noqa: E402
from benching.reference import steps as reference_steps  # noqa: E402
from benching.turns import turns  # noqa: E402
from benching.workloads import WORKLOADS  # noqa: E402
from gancli.config.compose import compose  # noqa: E402
from gancli.data.dataset import load_data  # noqa: E402
from gancli.devices import keep_freed_memory, pick_device, pick_precision  # noqa: E402
from gancli.engine.averages import Average  # noqa: E402
from gancli.engine.plan import Plan  # noqa: E402
from gancli.engine.players import Player  # noqa: E402
from gancli.engine.rounds import Game  # noqa: E402
from gancli.game.build import build_model, build_objective  # noqa: E402
from gancli.game.model import Progress  # noqa: E402
from gancli.gradients import library_kernels  # noqa: E402
from gancli.monitor.scalars import Scalars  # noqa: E402
from gancli.plan.run import plan_run  # noqa: E402


def planned(workload: str, overrides: list[str]) -> Plan:
    """Return the plan of the workload; nothing is created."""
    given = [*WORKLOADS[workload].overrides, *overrides]
    return plan_run(compose("train", given), given)


def our_steps(plan: Plan, device: torch.device) -> Iterator[int]:
    """Play rounds as gancli.engine.training does between two ticks; yield the images shown."""
    precision = pick_precision(plan.trainer.precision, device)
    data = load_data(plan.dataset, plan.data_dir, device, plan.seed)
    model = build_model(plan.model, build_objective(plan.loss, plan.augment, data.spec), data.spec).to(device).train()
    kimg = plan.trainer.ema_kimg
    average = None if kimg is None else Average(model, kimg, plan.trainer.ema_ramp)
    players = {name: Player(name, model, plan.optimizer, plan.trainer, precision) for name in model.players}
    game, progress, scalars = Game(model, average, players, plan.trainer, plan.seed), Progress(total=10**12), Scalars()
    every = max(turn.every for turn in model.phase(progress, game.default).turns)  # rounds until all have moved
    while True:
        yield sum(game.round(data, progress, scalars) for _ in range(every))


def their_steps(workload: str, plan: Plan, device: torch.device) -> Iterator[int]:
    """Return the plain loop on the same networks and images."""
    model = build_model(plan.model, build_objective(plan.loss, plan.augment, plan.spec), plan.spec).to(device).train()
    if WORKLOADS[workload].reference == "turns":
        loop = turns(plan, model, load_data(plan.dataset, plan.data_dir, device, plan.seed), device)
        return by_library(loop)
    if plan.spec.kind == "tokens":
        data = load_data(plan.dataset, plan.data_dir, "cpu", plan.seed)
        rows = data.examples(torch.arange(data.counts[0])).numpy()
        return reference_steps(WORKLOADS[workload].reference, plan, model, [rows], device)
    path = Path(plan.dataset["path"])
    files = sorted(path.glob("*.npy")) if path.is_dir() else [path]
    arrays = [np.load(file, mmap_mode="r") for file in files]
    return reference_steps(WORKLOADS[workload].reference, plan, model, arrays, device)


def expert(workload: str, plan: Plan, device: torch.device) -> Iterator[int]:
    """Return the expert's loop on the same networks and images."""
    model = build_model(plan.model, build_objective(plan.loss, plan.augment, plan.spec), plan.spec).to(device).train()
    images = np.load(plan.dataset["path"])
    return by_library(expert_steps(WORKLOADS[workload].reference, plan, model, images, device))


def timed(steps: Iterator[int], seconds: float, device: torch.device) -> dict[str, float]:
    """Step for so long and return images a second."""
    start, images = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        images += next(steps)
        synchronize(device)
    return {"images_per_s": images / (time.perf_counter() - start)}


def counted(steps: Iterator[int], device: torch.device, precision: str) -> dict[str, float]:
    """Return the operations and bytes an image needs, and what the hardware does of each in a second."""
    with library_kernels():
        shown = next(steps)
        counted = needs(lambda: next(steps))
    product, convolved, copied = ceilings(device, precision)
    return {"flops": counted.flops / shown, "useful": counted.useful / shown, "bytes": counted.traffic / shown,
            "flops_per_s": product, "convolved_per_s": convolved, "bytes_per_s": copied}


def profiled(steps: Iterator[int], rounds: int, device: torch.device) -> dict[str, float]:
    """Return milliseconds a round by operator (self time), largest first."""
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CUDA if device.type == "cuda" else ProfilerActivity.CPU]
    with profile(activities=kinds) as found:
        for _ in range(rounds):
            next(steps)
        synchronize(device)
    times = {event.key: (event.self_device_time_total if device.type == "cuda" else event.self_cpu_time_total)
             for event in found.key_averages()}
    return {key: time / 1000 / rounds for key, time in sorted(times.items(), key=lambda item: -item[1]) if time > 0}


def peak_gib(device: torch.device) -> float:
    """Return the most memory held, of the GPU or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**30
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def main(side: str, workload: str, overrides: list[str]) -> None:
    """Answer requests until standard input ends."""
    plan = planned(workload, overrides)
    device = pick_device(plan.device)
    if side != "reference":
        keep_freed_memory()
    match side:
        case "ours":
            steps = our_steps(plan, device)
        case "expert":
            steps = expert(workload, plan, device)
        case _:
            steps = their_steps(workload, plan, device)
    for request in sys.stdin:
        name, _, argument = request.strip().partition(" ")
        if name == "warm":
            answer = {"shown": sum(next(steps) for _ in range(3))}
        elif name == "run":
            answer = timed(steps, float(argument), device) | {"peak_gib": peak_gib(device)}
        elif name == "count":
            answer = counted(steps, device, pick_precision(plan.trainer.precision, device))
        elif name == "profile":
            answer = profiled(steps, int(argument), device)
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
