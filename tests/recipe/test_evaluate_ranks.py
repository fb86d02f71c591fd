"""Two ranks share an evaluation and agree with one."""

import multiprocessing
import sys
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1] / "unit"
pytestmark = pytest.mark.recipe


def figures(rank: int, world: int, folder: str, queue) -> None:
    """Evaluate as one of so many ranks; put (rank, {name: value}) into the queue."""
    sys.path.insert(0, str(UNIT))
    import torch
    from data_composing import load
    from test_evaluate_figures import options, sampler

    from gancli.features import classifier
    from gancli.metrics.evaluator import Evaluator

    torch.set_num_threads(1)
    if world > 1:
        torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    classifier.EPOCHS = 1
    data = load("digits", Path(folder), limit=300, size=16)
    evaluator = Evaluator(options("fid", "is", "kid", "swd", "classes"), data, Path(folder))
    queue.put((rank, {each.name: each.value for each in evaluator(sampler())}))
    if world > 1:
        torch.distributed.destroy_process_group()


def test_two_ranks_give_the_figures_of_one(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    ranks = [context.Process(target=figures, args=(rank, 2, str(tmp_path), queue)) for rank in range(2)]
    for process in ranks:
        process.start()
    found = dict(queue.get(timeout=300) for _ in ranks)
    for process in ranks:
        process.join(60)
        assert process.exitcode == 0
    assert found[0] == found[1] and len(found[0]) == 8
    alone = context.Process(target=figures, args=(0, 1, str(tmp_path), queue))
    alone.start()
    _, expected = queue.get(timeout=300)
    alone.join(60)
    assert found[0] == {name: pytest.approx(value, rel=1e-4, abs=1e-6) for name, value in expected.items()}
