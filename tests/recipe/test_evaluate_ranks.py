"""Two ranks share an evaluation and agree with one; what is measured on one rank alone exchanges nothing."""

import multiprocessing
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[1] / "unit"
pytestmark = pytest.mark.recipe


def figures(rank: int, world: int, folder: str, queue) -> None:
    """Evaluate as one of so many ranks, the last of them once more by itself; put (rank, together, alone) into the queue."""
    sys.path.insert(0, str(UNIT))
    import torch
    from data_composing import load
    from test_evaluate_figures import options, sampler

    from gancli.features import classifier
    from gancli.metrics.evaluator import Evaluator
    from gancli.ranks import shards
    from gancli.ranks.agreeing import to_first
    from gancli.ranks.joining import joined
    from gancli.ranks.shards import Place

    torch.set_num_threads(1)
    classifier.EPOCHS = 1
    place = Place(rank, world, rank)
    with joined(place, torch.distributed.FileStore(f"{folder}/meeting", world)) if world > 1 else nullcontext():
        assert to_first(10 + rank) == ([10 + each for each in range(world)] if rank == 0 else [])
        data = load("digits", Path(folder), limit=300, size=16)
        evaluator = Evaluator(options("fid", "is", "kid", "swd", "classes"), data, Path(folder))
        draw = sampler()
        together = {each.name: each.value for each in evaluator(draw)}
        alone = None
        if rank == world - 1:  # the others are past this: an exchange would wait for them, or meet another one
            with shards.alone():
                alone = {each.name: each.value for each in evaluator(draw)}
        assert evaluator(draw)[0].value == list(together.values())[0]
    queue.put((rank, together, alone))


def test_two_ranks_give_the_figures_of_one_and_so_does_a_rank_alone(tmp_path):
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    ranks = [context.Process(target=figures, args=(rank, 2, str(tmp_path), queue)) for rank in range(2)]
    for process in ranks:
        process.start()
    found = {rank: (together, alone) for rank, together, alone in (queue.get(timeout=300) for _ in ranks)}
    for process in ranks:
        process.join(60)
        assert process.exitcode == 0
    assert found[0][0] == found[1][0] and len(found[0][0]) == 8
    single = context.Process(target=figures, args=(0, 1, str(tmp_path), queue))
    single.start()
    _, expected, again = queue.get(timeout=300)
    single.join(60)
    assert again == expected
    assert found[0] == ({name: pytest.approx(value, rel=1e-4, abs=1e-6) for name, value in expected.items()}, None)
    assert found[1][1] == {name: pytest.approx(value, rel=1e-6, abs=1e-9) for name, value in expected.items()}
