"""Several ranks play the game of one: the same losses, one record, one end, whatever becomes of any of them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from planning import plan, resume, run
from running import command, environment

from gancli.engine import training
from gancli.engine.players import average_over_ranks
from gancli.engine.supervision import RankFailed, on_every_rank
from gancli.errors import UserError
from gancli.networks.equalized import MinibatchStddev
from gancli.networks.layers import norm_layer, synchronize_batch_norm
from gancli.ranks import shards
from gancli.ranks.shards import Place
from gancli.runs.checkpoint import CheckpointFolder, read
from gancli.runs.status import read_status

COMMON = ("dataset.size=8", "trainer.batch_size=8", "device=cpu", "trainer.precision=fp32", "trainer.record_kimg=0.008",
          "trainer.sample_kimg=0.08", "trainer.checkpoint_kimg=0.2")
ROUNDS = 50
MLP = ("model=gan", "model.generator_units=16", "model.discriminator_units=8", "model.discriminator_init=0.3",
       "model.generator_init=0.5")
DCGAN = ("model=dcgan", "model.width=4", "optimizer.lr=0.002", "trainer.discriminator_turns=1")
PROGAN = ("model=progan", "model.channel_max=6", "model.stable_kimg=0.08", "model.fade_kimg=0.08", "model.stddev_group=8")
FEW = ("model.units=[16,12]", "model.generator_units=[12,10]", "model.latent_size=6", "dataset.labeled=16",
       "optimizer.lr=0.0002", "trainer.sync_batch_norm=true")
GAMES = {
    "gan": MLP,  # with its dropout
    "gan wgan_gp": (*MLP, "loss=wgan_gp", "trainer.discriminator_turns=1"),
    "gan dragan": (*MLP, "loss.dragan.weight=1", "trainer.accumulate=2"),
    "dcgan wgan_gp": (*DCGAN, "loss=wgan_gp", "trainer.sync_batch_norm=true"),
    "dcgan": (*DCGAN, "trainer.sync_batch_norm=true"),
    "dcgan ada": (*DCGAN, "trainer.sync_batch_norm=true", "augment=ada", "augment.p=0.4", "augment.kimg=1",
                  "loss.r1.weight=1"),
    "dcgan diffaugment": (*DCGAN, "trainer.sync_batch_norm=true", "augment=diffaugment"),
    "gan noise": (*MLP, "augment=noise"),
    "progan": PROGAN,  # with the deviation of whole minibatches
    "sgan": ("model=sgan", *FEW),  # with noise, a reference batch, and means of features
    "catgan": ("model=catgan", *FEW),  # with the entropy of the whole batch's mean
}
FIGURES = re.compile(r"discriminator/augment_.*|loss/.*|gradient_norm/.*|D\(.*|.*penalty|.*dragan")


def losses(run_dir: Path) -> torch.Tensor:
    """Return [rounds, figures], all that does not tell the time; 0 where a figure is recorded with grids alone."""
    lines = [json.loads(line) for line in (run_dir / "stats.jsonl").read_text().splitlines()]
    names = [name for name in lines[-1] if FIGURES.fullmatch(name)]
    assert len(names) >= 8
    return torch.tensor([[line.get(name, 0.0) for name in names] for line in lines], dtype=torch.float64)


def children(pid: int) -> list[int]:
    """Return the ranks that a process has started, in order."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            parent = int((path.parent / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == pid and b"spawn_main" in path.read_bytes():
                found.append(int(path.parent.name))
        except (OSError, ValueError):
            continue
    return sorted(found)


def gone(pid: int) -> bool:
    """Whether a process has ended (a zombie has)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def until(condition, seconds: float) -> float:
    """Wait for a condition; return how long that took, fail after so many seconds."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, f"nothing after {seconds} s"
        time.sleep(0.05)
    return time.monotonic() - start


@pytest.fixture
def endless(tmp_path):
    """A long run of two ranks that has saved a checkpoint."""
    process = subprocess.Popen(
        command("train", *DCGAN, *COMMON, "trainer.kimg=1000", "devices=2", f"run_dir={tmp_path / 'run'}"), cwd=tmp_path,
        env=environment(OMP_NUM_THREADS="1"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    until(lambda: CheckpointFolder(tmp_path / "run").list() or process.poll() is not None, 120)
    assert process.poll() is None, process.communicate()
    yield process
    process.kill()
    process.communicate()


def share(rank: int, store: str, check) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=2)
    with shards.taking(Place(rank, 2, rank)):
        check(rank)
    torch.distributed.destroy_process_group()


def between_two(check, tmp_path) -> None:
    """Call `check(rank)` on two ranks."""
    torch.multiprocessing.spawn(share, args=(str(tmp_path / "store"), check), nprocs=2)


def check_average(rank: int) -> None:
    gradients = [torch.full((2, 3), float(rank)), torch.arange(4.0).view(2, 2).t() * (1 + 2 * rank)]
    assert average_over_ranks(gradients, torch.tensor(2.0 * rank)) == 1
    assert torch.equal(gradients[0], torch.full((2, 3), 0.5))
    assert torch.equal(gradients[1], torch.arange(4.0).view(2, 2).t() * 2)
    assert average_over_ranks(gradients, torch.tensor([1.0, torch.nan][rank])).isnan()


def test_gradients_and_loss_are_averaged(tmp_path):
    between_two(check_average, tmp_path)


def test_a_single_process_leaves_them_alone():
    gradients, loss = [torch.ones(2)], torch.tensor(3.0)
    assert average_over_ranks(gradients, loss) is loss
    assert torch.equal(gradients[0], torch.ones(2))


def check_batch_norm(rank: int) -> None:
    torch.manual_seed(0)
    whole, weights = torch.randn(6, 3, 2, 2) * 3 + 5, torch.randn(6, 3, 2, 2)
    theirs, mine = norm_layer("batch", 3), norm_layer("batch", 3)
    synchronize_batch_norm(mine)
    x, part = whole.clone().requires_grad_(), shards.mine(whole).requires_grad_()
    with shards.taking(Place()):
        y = theirs(x)
    (y * weights).mean().backward()
    mine_y = mine(part)
    (mine_y * shards.mine(weights)).mean().backward()
    assert torch.allclose(mine_y, shards.mine(y), atol=1e-5)
    assert torch.allclose(part.grad / 2, shards.mine(x.grad), atol=1e-6)
    shards.average(mine.weight.grad)
    assert torch.allclose(mine.weight.grad, theirs.weight.grad, atol=1e-6)
    for name, buffer in theirs.named_buffers():
        assert torch.allclose(mine.get_buffer(name), buffer, atol=1e-5), name
    assert torch.allclose(shards.std(shards.mine(whole)), whole.std())


def test_synchronized_batch_norm_is_that_of_the_whole_batch(tmp_path):
    between_two(check_batch_norm, tmp_path)


def check_deviations(rank: int) -> None:
    torch.manual_seed(0)
    whole = torch.randn(8, 3, 2, 2)
    for layer in (MinibatchStddev(0), MinibatchStddev(4)):
        found = []
        for place in (Place(), Place(rank, 2, rank)):
            with shards.taking(place):
                x = shards.mine(whole).clone().requires_grad_()
                made = layer(x)
                slope, = torch.autograd.grad(made.square().sum(), x, create_graph=True)
                curvature, = torch.autograd.grad(slope.square().sum(), x)  # as a penalty on gradients needs it
            found.append((made, slope, curvature))
        for theirs, mine in zip(*found, strict=True):
            assert torch.allclose(mine, shards.mine(theirs), atol=1e-5)


def test_deviations_within_groups_are_those_of_the_whole_batch(tmp_path):
    between_two(check_deviations, tmp_path)


@pytest.mark.parametrize("game", GAMES)
def test_two_ranks_have_the_losses_of_one(game, tmp_path):
    assert len(GAMES) == 11
    length = f"trainer.kimg={ROUNDS * 8 / 1000}"
    for ranks in (1, 2):
        run(tmp_path / str(ranks), *GAMES[game], *COMMON, length, f"devices={ranks}")
    one, two = losses(tmp_path / "1"), losses(tmp_path / "2")
    assert one.shape[0] == ROUNDS and one.std(0).max() > 1e-3
    assert (one - two).abs().max() < 1e-5
    names = [sorted(path.name.split(".tfevents")[0] for path in (tmp_path / ranks).rglob("*")) for ranks in "12"]
    assert names[0] == names[1], "the record of two ranks is that of one"


def test_cyclegan_has_one_pool_of_images(tmp_path, two_domains):
    settings = ("model=cyclegan", "model.width=4", "model.blocks=1", "model.pool_size=5", "dataset=unpaired",
                f"dataset.path={two_domains}", *COMMON, "trainer.batch_size=4", "trainer.record_kimg=0.004",
                "trainer.kimg=0.04", "optimizer.lr=2e-5")  # Adam magnifies the last bits
    for ranks in (1, 2):
        run(tmp_path / str(ranks), *settings, f"devices={ranks}")
    one, two = (read(CheckpointFolder(tmp_path / ranks).latest()).tensors for ranks in "12")
    assert one.keys() == two.keys() and one["model/pool_a.held"] == 5
    pools = [tensors["model/pool_a.images"].flatten(1) for tensors in (one, two)]
    apart = (pools[0] - pools[1]).norm(dim=1).max().item()
    assert apart < 0.2 * torch.pdist(pools[0]).min().item(), "slot by slot nearer than any two images"


def test_a_run_continues_on_another_number_of_ranks(tmp_path):
    whole, changed = tmp_path / "whole", tmp_path / "changed"
    settings = (*GAMES["dcgan wgan_gp"], *COMMON, "trainer.sample_kimg=0.008")  # a sitting ends with a grid, too
    run(whole, *settings, "trainer.kimg=0.4")
    run(changed, *settings, "trainer.kimg=0.2")
    training.train(resume(changed, "devices=2", "trainer.kimg=0.304"))
    training.train(resume(changed, "devices=1", "trainer.kimg=0.4"))
    assert (losses(whole) - losses(changed)).abs().max() < 1e-5


def test_a_killed_rank_ends_the_run_and_one_rank_goes_on(endless, tmp_path):
    victim = children(endless.pid)[1]
    start = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    errors = endless.communicate(timeout=30)[1]
    assert time.monotonic() - start < 30 and endless.returncode == 1
    assert f"(process {victim}) was killed by SIGKILL" in errors and "Traceback" not in errors
    status = read_status(tmp_path / "run")
    assert status.status == "failed" and re.match(r"Rank [01] of 2 \(process \d+\) was killed by SIGKILL", status.why)
    images = read(CheckpointFolder(tmp_path / "run").latest()).progress["images"]
    training.train(resume(tmp_path / "run", "devices=1", f"trainer.kimg={(images + 80) / 1000}"))
    assert read_status(tmp_path / "run").images == images + 80


def test_no_rank_outlives_a_killed_parent(endless):
    ranks = children(endless.pid)
    assert len(ranks) == 2
    endless.kill()
    until(lambda: all(gone(pid) for pid in ranks), 10)


@pytest.mark.parametrize("who", ["parent", "rank 1"])
def test_a_stop_request_reaches_all(who, endless, tmp_path):
    os.kill(endless.pid if who == "parent" else children(endless.pid)[1], signal.SIGTERM)
    errors = endless.communicate(timeout=60)[1]
    assert endless.returncode == 3 and "Stopped by SIGTERM" in errors
    assert read_status(tmp_path / "run").status == "stopped"


def fail_on_rank_1(made):
    """Play, and break in rank 1's tenth turn."""
    gradients = training.Player.gradients

    def learn(self, batch, progress, *rest):
        if shards.rank() == 1 and progress.rounds == 5:
            raise RuntimeError("something broke")
        return gradients(self, batch, progress, *rest)

    training.Player.gradients = learn
    return training.play(made)


def diverge_on_rank_1(made):
    """Play, and lose rank 1's data to infinity."""
    gradients = training.Player.gradients

    def learn(self, batch, progress, *rest):
        if shards.rank() == 1 and progress.rounds == 5:
            batch.real.fill_(torch.inf)
        return gradients(self, batch, progress, *rest)

    training.Player.gradients = learn
    return training.play(made)


def test_an_error_of_one_rank_ends_the_run_with_its_traceback(tmp_path):
    made = plan(tmp_path / "run", *DCGAN, *COMMON, "trainer.kimg=1", "devices=2")
    with pytest.raises(RankFailed, match="rank 1 of 2 failed: RuntimeError: something broke") as caught:
        on_every_rank(fail_on_rank_1, made)
    assert "in fail_on_rank_1" in str(caught.value.__cause__)
    assert read_status(tmp_path / "run").why == "Rank 1 of 2: RuntimeError: something broke"
    assert "in fail_on_rank_1" in (tmp_path / "run/log.txt").read_text()


def test_a_number_that_is_not_finite_on_one_rank_stops_all_before_the_step(tmp_path):
    made = plan(tmp_path / "run", *DCGAN, *COMMON, "trainer.kimg=1", "devices=2")
    with pytest.raises(UserError, match="not finite"):
        on_every_rank(diverge_on_rank_1, made)
    status = read_status(tmp_path / "run")
    assert status.status == "failed" and "The discriminator's turn gave a number that is not finite" in status.why


def torchrun(*arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    """Run `torchrun --nproc-per-node 2 -m gancli ARGUMENTS`."""
    launcher = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "gancli")
    return subprocess.run([*launcher, *arguments], cwd=cwd, env=environment(OMP_NUM_THREADS="1"), capture_output=True,
                          text=True, timeout=300)


def test_torchrun_gives_one_run_directory(tmp_path):
    done = torchrun("train", *MLP, *COMMON, "trainer.kimg=0.4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Finished 0.4 kimg") == 1 and done.stdout == ""
    run_dir, = (tmp_path / "outputs/train").iterdir()
    run(tmp_path / "one", *MLP, *COMMON, "trainer.kimg=0.4")
    assert (losses(tmp_path / "one") - losses(run_dir)).abs().max() < 1e-5
    again = torchrun("train", f"resume={run_dir}", "trainer.kimg=0.5", cwd=tmp_path)
    assert again.returncode == 0 and read_status(run_dir).images == 504


def test_torchrun_tells_a_mistake_once_and_creates_nothing(tmp_path):
    done = torchrun("train", *MLP, *COMMON, "trainer.batch_size=7", cwd=tmp_path)
    assert done.returncode == 1 and done.stderr.count("give trainer.batch_size=6 or 8") == 1
    assert not any(tmp_path.iterdir())


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs for NCCL")
@pytest.mark.parametrize("game", ["gan wgan_gp", "dcgan wgan_gp"])
def test_two_gpus_have_the_losses_of_one(game, tmp_path):
    settings = (*GAMES[game], *COMMON, "device=cuda", f"trainer.kimg={ROUNDS * 8 / 1000}")
    for ranks in (1, 2):
        run(tmp_path / str(ranks), *settings, f"devices={ranks}")
    assert torch.allclose(losses(tmp_path / "1"), losses(tmp_path / "2"), rtol=1e-3, atol=1e-4)
