"""The one call of hydra.main, as if its arguments had been typed."""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from gancli.config import groups


def call_hydra(task: Callable[[Any], Any], config_name: str, arguments: list[str]) -> None:
    """Call hydra.main as if `arguments` had been typed; errors arrive as they are."""
    import hydra

    from gancli.config import resolvers
    from gancli.config.compose import version_base

    resolvers.register()
    main = hydra.main(config_path=str(groups.conf_dir()), config_name=config_name, **version_base())(task)
    with _process_state([f"gan {config_name}", *arguments]):
        main()


@contextmanager
def _process_state(argv: list[str]) -> Iterator[None]:
    """Set what Hydra reads and changes in the process, and put it back: argv, environment, root logger."""
    root = logging.getLogger()
    before = sys.argv, os.environ.get("HYDRA_FULL_ERROR"), root.level, list(root.handlers)
    sys.argv = argv
    os.environ["HYDRA_FULL_ERROR"] = "1"
    try:
        yield
    finally:
        sys.argv, full_error, root.level, root.handlers[:] = before
        if full_error is None:
            os.environ.pop("HYDRA_FULL_ERROR", None)
        else:
            os.environ["HYDRA_FULL_ERROR"] = full_error
