"""What is timed: systems at their paper's batch size, and where their images come from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One row of the table; `reference` names the plain loop in reference.py that trains the same networks."""

    overrides: tuple[str, ...]
    reference: str
    shape: tuple[int, ...]  # C, H, W of the synthetic images, or T of sequences, whose data set the overrides name
    paper_batch: int
    domains: int = 1


WORKLOADS = {
    "dcgan-32x32x1": Workload(("model=dcgan",), "pair", (1, 32, 32), 128),
    "dcgan-64x64x3": Workload(("model=dcgan",), "pair", (3, 64, 64), 128),
    "gan-mlp": Workload(("model=gan",), "pair", (1, 28, 28), 100),
    "wgan_gp-32x32x3": Workload(("model=dcgan", "loss=wgan_gp"), "wgan_gp", (3, 32, 32), 64),
    "seqgan-20": Workload(("model=seqgan", "dataset=oracle", "dataset.vocabulary=200", "dataset.count=2000",
                           "dataset.store=memory", "model.widths=[2,3]", "model.filters=[100,200]", "model.likelihood_kimg=0",
                           "model.discriminator_kimg=0", "model.roll_outs=4", "model.policy_batch=32",
                           "trainer.discriminator_turns=10", "trainer.ema_kimg=10"),
                          "seqgan", (20,), 64),
    **{f"{name}-{side}x{side}x3": Workload((f"model={name}", *more), loop, (3, side, side), batch)
       for name, loop, batch, *more in (("stylegan2", "styled", 32), ("r3gan", "relativistic", 64),
                                        ("stylegan", "styled", 16, "model.stable_kimg=0", "model.fade_kimg=0"))
       for side in (32, 64)},
    "cyclegan-64x64x3": Workload(("model=cyclegan",), "cyclegan", (3, 64, 64), 1, domains=2),
}
GPU_BATCH = 1024  # beside the paper's batch, which leaves a large GPU idle
FILES = 50_000  # images of the folder that `--data` reads
SIZES = (1_000, 1_000_000)  # images of the stores that `--data` compares
