"""The measures by name, each a file of this folder: its MEASURE, from the figures' names to how they are computed.

A new measure is one such file, and its pure function in `gancli.metrics.measures`.  Importing the catalog imports no
torch (listing, completion, comparing and sweeps read it): what computes imports what it needs when it is called.
"""

import importlib
import pkgutil

from gancli.metrics.measure import Figure, Measure


def find_measures() -> tuple[Measure, ...]:
    """Return the MEASURE of every file of this folder, by their names' order."""
    files = (importlib.import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__))
    return tuple(sorted((file.MEASURE for file in files), key=lambda measure: measure.name))


MEASURES = find_measures()
METRICS: dict[str, Measure] = {measure.name: measure for measure in MEASURES}
FIGURES: dict[str, Figure] = {figure.name: figure for measure in MEASURES for figure in measure.figures}
