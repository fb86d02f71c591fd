"""The data sets by name; each file registers its own in gancli.registry.datasets."""
