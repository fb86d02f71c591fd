"""What a person watches while a model trains: grids, curves, progress."""
