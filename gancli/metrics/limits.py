"""How many examples collectors keep of each side, so that memory stays bounded: part of what a figure means."""

MOST_VECTORS = 10_000  # features, for measures of pairs (kid, prdc)
MOST_IMAGES, MOST_IMAGE_BYTES, FEWEST_IMAGES = 10_000, 2**29, 16
MOST_POINTS = 10_000
PATCH_IMAGES, PATCH_BUDGET = 16_384, 16_384  # images of a side, and patches of all of them
SPLITS = 10  # parts of the inception score (Salimans 2016)
