"""Each job of a sweep composed once: Hydra's sweepers compose every job to check it, and its launchers compose it again."""

import pickle
import zlib
from collections.abc import Sequence
from typing import Any

MOST = 20_000  # jobs that are remembered, about 5 kB each; further ones are composed again


class Placed(str):
    """An override that says where a job lies, and brings what the job's other overrides composed to.

    It goes where the job goes, also to the worker processes of a launcher.
    """

    composed: bytes | None = None


class Remembering:
    """Hydra's loader of configurations, which remembers what a sweep's jobs composed to."""

    def __init__(self, loader: Any) -> None:
        self.loader = loader
        self.known: dict[tuple[str, ...], bytes] = {}

    def __getattr__(self, name: str) -> Any:
        if name == "loader":  # while it is unpickled
            raise AttributeError(name)
        return getattr(self.loader, name)

    def __getstate__(self) -> dict[str, Any]:
        return {"loader": self.loader, "known": {}}  # it goes to the workers with each job

    def load_sweep_config(self, master_config: Any, sweep_overrides: Sequence[str]) -> Any:
        """Return the configuration of one job, as Hydra's loader does."""
        last = sweep_overrides[-1] if sweep_overrides else ""
        if isinstance(last, Placed) and last.composed is not None:
            return _placed(pickle.loads(zlib.decompress(last.composed)), last)
        composed = self.loader.load_sweep_config(master_config, list(map(str, sweep_overrides)))
        if len(self.known) < MOST:
            self.known[tuple(sweep_overrides)] = zlib.compress(pickle.dumps(composed), 1)
        return composed

    def place(self, overrides: Sequence[str], subdir: str) -> list[str]:
        """Return a job's overrides with `subdir`, an override of where it lies, and forget what they composed to."""
        placed = Placed(subdir)
        placed.composed = self.known.pop(tuple(overrides), None)
        return [*overrides, placed]


def _placed(cfg: Any, subdir: str) -> Any:
    """Return a job's configuration as Hydra composes it with `subdir`, an override of hydra.sweep.subdir, as well."""
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import open_dict

    with open_dict(cfg):
        cfg.hydra.sweep.subdir = OverridesParser.create().parse_override(str(subdir)).value()
        cfg.hydra.overrides.hydra.append(str(subdir))
    return cfg
