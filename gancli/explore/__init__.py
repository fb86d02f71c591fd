"""Work on trained models: load, sample, interpolate."""
