"""Measures of generated samples: pure functions on features, images and points; the catalog of their names."""
