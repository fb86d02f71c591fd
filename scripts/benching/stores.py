"""One data set in a process of its own: opens it, then draws batches when told to (`python stores.py JSON`)."""

import json
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from gancli.config.compose import compose  # noqa: E402
from gancli.data.dataset import load_data  # noqa: E402
from gancli.devices import pick_device  # noqa: E402
from gancli.plan.run import plan_run  # noqa: E402

BATCH, BATCHES = 64, 500


def resident() -> dict[str, float]:
    """Return the process's own memory and what it has mapped of files, in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    kib = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith(("RssAnon", "RssFile"))}
    return {"anonymous_mib": kib["RssAnon"] / 1024, "mapped_mib": kib["RssFile"] / 1024}


def main(overrides: list[str]) -> None:
    """Open the data, then answer each line with the cost of an image, in a random place of the order."""
    plan = plan_run(compose("train", overrides), overrides)
    begun = time.perf_counter()
    data = load_data(plan.dataset, plan.data_dir, pick_device(plan.device), plan.seed)
    data.batch(0, BATCH)
    print(json.dumps({"seconds": time.perf_counter() - begun, **resident()}), flush=True)
    images = 0
    for _ in sys.stdin:
        begun = time.perf_counter()
        for _ in range(BATCHES):
            data.batch(images, BATCH)
            images += BATCH
        cost = (time.perf_counter() - begun) / (BATCH * BATCHES) * 1e6
        print(json.dumps({"microseconds_an_image": cost, **resident()}), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
