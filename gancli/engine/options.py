"""Options of the training loop and of the optimizers (groups `trainer` and `optimizer`; free of torch)."""

from dataclasses import dataclass, replace

from gancli.errors import check_choice, check_range
from gancli.monitor import loggers

OPTIMIZERS = ("adam", "adamw", "rmsprop", "sgd")
SCHEDULES = ("constant", "linear", "cosine")
PRECISIONS = ("auto", "fp32", "bf16")
SCHEMES = ("alternating", "simultaneous", "extragradient", "past_extragradient", "optimistic", "consensus")
MOST_TURNS = 10_000  # of a player in a round, which is planned turn by turn


@dataclass
class TrainerOptions:
    """How long, in what batches and precision, and what is recorded how often."""

    kimg: float | None  # length in thousands of real images shown; or
    epochs: float | None  # length in passes through the data
    batch_size: int  # real images of one turn, over all devices
    discriminator_turns: int  # of each round, in which every other player has one turn
    scheme: str  # one of SCHEMES: how players' gradients become steps
    consensus: float  # of scheme=consensus: weight of the squared gradients (gamma)
    unrolled: int  # steps of the discriminators that their opponents look ahead (Metz 2017); 0: none
    accumulate: int  # a turn's batch goes through the networks in so many parts
    reuse_generated: bool  # the players' turns on one batch share one batch of generated examples, where the model can
    sync_batch_norm: bool  # batch statistics over all ranks' examples, not each rank's own
    clip_grad_norm: float | None  # of one player's gradients together
    ema_kimg: float | None  # half-life of the averaged weights that samples are drawn from; null: no averaging
    ema_ramp: float | None  # the half-life is at most this fraction of the images shown so far; null: it never rises
    precision: str  # one of PRECISIONS; auto takes bf16 where the hardware multiplies it natively
    record_kimg: float  # interval of figures
    sample_kimg: float  # of sample grids
    checkpoint_kimg: float  # of checkpoints
    memory_check: bool  # a run that needs more memory than is free is refused
    keep: int  # the newest checkpoints kept (the best one is always kept)
    loggers: list[str]  # where figures and pictures go, beside the run's own files

    def __post_init__(self) -> None:
        check_choice("trainer.precision", self.precision, PRECISIONS)
        check_choice("trainer.scheme", self.scheme, SCHEMES)
        for name in self.loggers:
            if name not in loggers.OWN:  # else nobody else's need be looked for, which takes 0.1 s
                check_choice("trainer.loggers", name, loggers.names())
            why = loggers.lacking(name)
            if why:
                raise ValueError(f"trainer.loggers={name}: {why}")
        check_range("trainer.unrolled", self.unrolled, 0, MOST_TURNS)
        check_range("trainer.discriminator_turns", self.discriminator_turns, 1, MOST_TURNS)
        check_range("trainer.consensus", self.consensus, 0)
        for key in ("kimg", "epochs", "clip_grad_norm", "ema_kimg", "ema_ramp", "record_kimg", "sample_kimg",
                    "checkpoint_kimg"):
            check_range(f"trainer.{key}", getattr(self, key), 0, open_low=True)
        for key in ("batch_size", "accumulate", "keep"):
            check_range(f"trainer.{key}", getattr(self, key), 1)
        if self.kimg is not None and self.epochs is not None:
            raise ValueError(f"trainer.kimg={self.kimg:g} and trainer.epochs={self.epochs:g} both state the length: "
                             "give one of them")
        if self.batch_size % self.accumulate:
            raise ValueError(f"trainer.batch_size={self.batch_size} does not divide into trainer.accumulate="
                             f"{self.accumulate} parts: give a multiple")
        if self.scheme != "alternating" and self.discriminator_turns > 1:
            raise ValueError(f"trainer.scheme={self.scheme} moves all players at once, and trainer.discriminator_turns="
                             f"{self.discriminator_turns} asks for more turns of one: give trainer.discriminator_turns=1 "
                             "or trainer.scheme=alternating")
        if self.unrolled and self.scheme not in ("alternating", "simultaneous"):
            raise ValueError(f"trainer.unrolled={self.unrolled} and trainer.scheme={self.scheme} both look ahead: give "
                             "trainer.unrolled=0, or trainer.scheme=alternating or simultaneous")
        for second_order, key in ((self.unrolled, f"unrolled={self.unrolled}"),
                                  (self.scheme == "consensus", "scheme=consensus")):
            if second_order and self.accumulate > 1:
                raise ValueError(f"trainer.{key} differentiates through a whole batch: give trainer.accumulate=1")


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
class Rate:
    """The learning rate of the players of one role."""

    lr: float | None  # null: optimizer.lr

    def __post_init__(self) -> None:
        check_range("lr", self.lr, 0)


@dataclass
class PlayerOptions:
    """What one player has of its own; null: what the others have."""

    name: str | None = None  # one of OPTIMIZERS
    lr: float | None = None
    betas: list[float] | None = None  # Adam's and AdamW's

    def __post_init__(self) -> None:
        if self.name is not None:
            check_choice("name", self.name, OPTIMIZERS)
        check_range("lr", self.lr, 0)
        if self.betas is not None:
            check_betas("betas", self.betas)


@dataclass
class OptimizerOptions:
    """One optimizer a player, all alike unless a player has something of its own."""

    name: str  # one of OPTIMIZERS
    lr: float
    betas: list[float]  # Adam's and AdamW's
    momentum: float  # SGD's and RMSprop's
    alpha: float  # RMSprop's smoothing
    weight_decay: float
    eps: float
    schedule: ScheduleOptions
    discriminator: Rate  # of every player that discriminates
    generator: Rate  # of every other player
    players: dict[str, PlayerOptions]  # by name; wins over the two before it

    def __post_init__(self) -> None:
        check_choice("optimizer.name", self.name, OPTIMIZERS)
        check_range("optimizer.lr", self.lr, 0)
        check_range("optimizer.eps", self.eps, 0)
        check_range("optimizer.weight_decay", self.weight_decay, 0)
        check_range("optimizer.momentum", self.momentum, 0, 1)
        check_range("optimizer.alpha", self.alpha, 0, 1)
        check_betas("optimizer.betas", self.betas)

    def of(self, player: str, discriminates: bool) -> "OptimizerOptions":
        """Return the options of one player, in `name`, `lr` and `betas`."""
        role = self.discriminator if discriminates else self.generator
        own = self.players.get(player) or PlayerOptions()
        lr = next(value for value in (own.lr, role.lr, self.lr) if value is not None)
        return replace(self, name=own.name or self.name, lr=lr, betas=self.betas if own.betas is None else own.betas)


def check_betas(key: str, betas: list[float]) -> None:
    """Raise a ValueError unless these can be Adam's."""
    if len(betas) != 2:
        raise ValueError(f"{key} has two entries, not {betas}")
    for beta in betas:
        if not 0 <= beta < 1:
            raise ValueError(f"{key} must each be at least 0 and below 1, not {beta}")
