"""Options of the training loop and of the optimizers (groups `trainer` and `optimizer`; free of torch)."""

from dataclasses import dataclass

from gancli.errors import check_choice, check_range

OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
PRECISIONS = ("auto", "fp32", "bf16")


@dataclass
class TrainerOptions:
    """How long, in what batches and precision, and what is recorded how often."""

    kimg: float | None  # length in thousands of real images shown; or
    epochs: float | None  # length in passes through the data
    batch_size: int  # real images of one turn, over all devices
    discriminator_turns: int  # of each round, in which every other player has one turn
    accumulate: int  # a turn's batch goes through the networks in so many parts
    reuse_generated: bool  # the players' turns on one batch share one batch of generated examples, where the model can
    sync_batch_norm: bool  # batch statistics over all ranks' examples, not each rank's own
    clip_grad_norm: float | None  # of one player's gradients together
    ema_kimg: float | None  # half-life of the averaged weights that samples are drawn from; null: no averaging
    precision: str  # one of PRECISIONS; auto takes bf16 where the hardware multiplies it natively
    record_kimg: float  # interval of figures
    sample_kimg: float  # of sample grids
    checkpoint_kimg: float  # of checkpoints
    keep: int  # the newest checkpoints kept (the best one is always kept)

    def __post_init__(self) -> None:
        check_choice("trainer.precision", self.precision, PRECISIONS)
        for key in ("kimg", "epochs", "clip_grad_norm", "ema_kimg", "record_kimg", "sample_kimg", "checkpoint_kimg"):
            check_range(f"trainer.{key}", getattr(self, key), 0, open_low=True)
        for key in ("batch_size", "discriminator_turns", "accumulate", "keep"):
            check_range(f"trainer.{key}", getattr(self, key), 1)
        if self.kimg is not None and self.epochs is not None:
            raise ValueError(f"trainer.kimg={self.kimg:g} and trainer.epochs={self.epochs:g} both state the length: "
                             "give one of them")
        if self.batch_size % self.accumulate:
            raise ValueError(f"trainer.batch_size={self.batch_size} does not divide into trainer.accumulate="
                             f"{self.accumulate} parts: give a multiple")


@dataclass
class ScheduleOptions:
    """How the learning rate moves over the run."""

    name: str  # one of SCHEDULES; linear and cosine fall to 0 at the end of the run
    start: float  # the fraction of the run after which they start to fall
    warmup_kimg: float  # the rate first rises linearly from 0

    def __post_init__(self) -> None:
        check_choice("optimizer.schedule.name", self.name, SCHEDULES)
        check_range("optimizer.schedule.start", self.start, 0, 1)
        check_range("optimizer.schedule.warmup_kimg", self.warmup_kimg, 0)


@dataclass
class PlayerOptions:
    """What one player has of its own."""

    lr: float | None  # null: optimizer.lr

    def __post_init__(self) -> None:
        check_range("lr", self.lr, 0)


@dataclass
class OptimizerOptions:
    """One optimizer per player, all of one kind."""

    name: str  # one of OPTIMIZERS
    lr: float
    betas: list[float]  # Adam's and AdamW's
    momentum: float  # SGD's and RMSprop's
    alpha: float  # RMSprop's smoothing
    weight_decay: float
    eps: float
    schedule: ScheduleOptions
    discriminator: PlayerOptions
    generator: PlayerOptions

    def __post_init__(self) -> None:
        check_choice("optimizer.name", self.name, OPTIMIZERS)
        check_range("optimizer.lr", self.lr, 0)
        check_range("optimizer.eps", self.eps, 0)
        check_range("optimizer.weight_decay", self.weight_decay, 0)
        check_range("optimizer.momentum", self.momentum, 0, 1)
        check_range("optimizer.alpha", self.alpha, 0, 1)
        if len(self.betas) != 2:
            raise ValueError(f"optimizer.betas has two entries, not {self.betas}")
        for beta in self.betas:
            if not 0 <= beta < 1:
                raise ValueError(f"optimizer.betas must each be at least 0 and below 1, not {beta}")

    def lr_of(self, player: str) -> float:
        """Return the learning rate of a player."""
        own = {"discriminator": self.discriminator, "generator": self.generator}.get(player)
        return self.lr if own is None or own.lr is None else own.lr
