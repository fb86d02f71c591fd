"""Measures of generated samples: pure functions on features, images and points; the catalog of their names.

They are to be called outside of autocast: distances and kernels are small differences of large products.
"""
