"""What is timed: systems at their paper's batch size, and where their images come from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Workload:
    """One row of the table; `reference` names the plain loop that trains the same networks: in reference.py, or turns.py's."""

    overrides: tuple[str, ...]
    reference: str
    shape: tuple[int, ...]  # C, H, W of the synthetic images, or T of sequences, whose data set the overrides name
    paper_batch: int
    domains: int = 1

    @property
    def brings_data(self) -> bool:
        """Whether the overrides name a data set."""
        return any(override.startswith("dataset=") for override in self.overrides)


DIGITS = "dataset=digits"
BY_TURNS: dict[str, tuple] = {  # model: shape, the paper's batch, domains, and more; widths are conf/model's but for these
    "lapgan": ((3, 32, 32), 128, 1),
    "catgan": ((1, 32, 32), 100, 1, DIGITS, "dataset.size=32", "dataset.labeled=100"),
    "sgan": ((1, 32, 32), 100, 1, DIGITS, "dataset.size=32", "dataset.labeled=100"),
    "aae": ((1, 32, 32), 100, 1),
    "cogan": ((1, 32, 32), 64, 1, DIGITS, "dataset.size=32", "dataset.second=edges"),
    "vaegan": ((3, 32, 32), 64, 1),
    "mdgan": ((1, 32, 32), 128, 1),
    "gran": ((1, 32, 32), 100, 1),
    "spatialgan": ((3, 65, 65), 16, 1),
    "progan": ((3, 32, 32), 16, 1, "model.stable_kimg=0", "model.fade_kimg=0"),
    "pix2pix": ((3, 64, 64), 1, 2, "dataset=paired"),
    "stargan": ((1, 32, 32), 16, 1, DIGITS, "dataset.size=32", "model.width=32"),
    "stargan_v2": ((1, 32, 32), 8, 1, DIGITS, "dataset.size=32"),
    "srgan": ((3, 32, 32), 16, 1, "model.content=mse", "model.pretrain_kimg=0", "model.blocks=4"),
    "context_encoder": ((3, 32, 32), 64, 1),
    "gpgan": ((3, 32, 32), 64, 1),
    "caae": ((1, 32, 32), 100, 1, DIGITS, "dataset.size=32"),
    "ian": ((3, 32, 32), 16, 1, "model.width=32"),
}
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
    **{f"{name}-{shape[1]}x{shape[2]}x{shape[0]}": Workload((f"model={name}", *more), "turns", shape, batch, domains)
       for name, (shape, batch, domains, *more) in BY_TURNS.items()},
    "cyclegan-64x64x3": Workload(("model=cyclegan",), "cyclegan", (3, 64, 64), 1, domains=2),
}
GPU_BATCH = 1024  # beside the paper's batch, which leaves a large GPU idle
FILES = 50_000  # images of the folder that `--data` reads
SIZES = (1_000, 1_000_000)  # images of the stores that `--data` compares
