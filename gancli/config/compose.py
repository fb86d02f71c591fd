"""A configuration composed without running anything: for checks ahead of a sweep, for near matches, for completion."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, product
from math import prod
from pathlib import Path

from hydra import __version__ as hydra_version
from hydra import compose as hydra_compose
from hydra import initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, RangeSweep, Transformer
from omegaconf import DictConfig, OmegaConf

from gancli.config import groups, resolvers
from gancli.errors import UsageError

MOST_JOBS = 100_000  # of a sweep: each is composed, has a folder and a line in sweep.json


def version_base() -> dict[str, str]:
    """Return the keyword that Hydra 1.3 wants and Hydra 1.4 withdrew."""
    major, minor = (int(part) for part in hydra_version.split(".")[:2])
    return {"version_base": "1.3"} if (major, minor) < (1, 4) else {}


def compose(config_name: str, overrides: list[str], config_dir: Path | None = None, hydra: bool = False) -> DictConfig:
    """Return the configuration of a single run; `hydra` keeps Hydra's own node. Raises what Hydra raises."""
    resolvers.register()
    if config_dir is not None:
        quoted = str(Path(config_dir).absolute()).replace("'", r"\'")
        overrides = [f"hydra.searchpath=['file://{quoted}']", *overrides]
    with _initialized():
        return hydra_compose(config_name, overrides=overrides, return_hydra_config=hydra)


@dataclass
class Swept:
    """What a sweep's command line composes to."""

    cfg: DictConfig  # of the first job, with Hydra's own node
    values: dict[str, list[str]]  # of every swept key; none of a continuous range

    @property
    def folder(self) -> Path:
        """The sweep directory that the configuration asks for."""
        return Path(str(OmegaConf.select(self.cfg, "hydra.sweep.dir")))

    @property
    def count(self) -> int:
        """How many jobs the sweep has."""
        trials = OmegaConf.select(self.cfg, "hydra.sweeper.n_trials")
        return prod(len(values) for values in self.values.values()) if trials is None else trials

    def choice(self, group: str) -> str:
        """The chosen option of a group: hydra/launcher or hydra/sweeper."""
        return str(self.cfg.hydra.runtime.choices[group])


def check_sweep(config_name: str, overrides: list[str], config_dir: Path | None = None) -> Swept:
    """Compose one job with the first values of every swept key, and one for every other choice of a swept group.

    Raises:
        UsageError: the sweep has more than MOST_JOBS jobs.
        Exception: what Hydra raises.
    """
    first, values = _first_values(overrides)
    for key in values:
        if key in groups.groups(config_name) or "/" in key:
            for value in values[key][1:]:
                compose(config_name, [*first, f"{key}={value}"], config_dir)
    swept = Swept(compose(config_name, [*first, "hydra.job.num=0"], config_dir, hydra=True), values)
    if swept.count > MOST_JOBS:
        raise UsageError(f"The sweep has more than {MOST_JOBS:,} jobs: give fewer values.")
    return swept


def jobs_of(config_name: str, overrides: list[str], config_dir: Path | None = None) -> tuple[Swept, list[list[str]]]:
    """Return what a sweep composes to, and the overrides of each of its jobs; of sampled values the first stand for all.

    Raises:
        UsageError: the sweep has more than MOST_JOBS jobs.
        Exception: what Hydra raises.
    """
    swept = check_sweep(config_name, overrides, config_dir)
    first, values = _first_values(overrides)
    if not all(values.values()) or OmegaConf.select(swept.cfg, "hydra.sweeper.n_trials") is not None:
        return swept, [first]
    fixed = [text for text in first if text.lstrip("+").partition("=")[0] not in values]
    return swept, [[*fixed, *(f"{key}={value}" for key, value in zip(values, chosen, strict=True))]
                   for chosen in product(*values.values())]


def keys(cfg: DictConfig) -> list[str]:
    """Return every dotted key, those of inner nodes too."""
    found: list[str] = []
    for name in cfg:
        key = str(name)
        found.append(key)
        child = None if OmegaConf.is_missing(cfg, key) or OmegaConf.is_interpolation(cfg, key) else cfg[key]
        if isinstance(child, DictConfig):
            found += [f"{key}.{inner}" for inner in keys(child)]
    return found


def _first_values(overrides: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the overrides with every sweep narrowed to its first value, and all values of each swept key."""
    first: list[str] = []
    swept: dict[str, list[str]] = {}
    with _initialized() as loader:
        for text, override in zip(overrides, OverridesParser.create(loader).parse_overrides(overrides), strict=True):
            if not override.is_sweep_override():
                first.append(text)
                continue
            key = override.get_key_element()
            if override.is_discrete_sweep():
                values = swept[key] = list(islice(_listed(override), MOST_JOBS + 1))
            else:
                values, swept[key] = [override.value().start], []
            first += [f"{key}={value}" for value in values[:1]]
    return first, swept


def _listed(override: Override) -> Iterator[str]:
    """Return the values of a sweep one by one; Hydra itself would list a range that is to be shuffled."""
    value = override.value()
    return map(Transformer.str, value.range()) if isinstance(value, RangeSweep) else override.sweep_string_iterator()


@contextmanager
def _initialized():
    """Initialize Hydra on the package's configuration; yield its loader."""
    from hydra.core.global_hydra import GlobalHydra

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with initialize_config_dir(str(groups.conf_dir()), job_name="gan", **version_base()):
            yield GlobalHydra.instance().config_loader()
