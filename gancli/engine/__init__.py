"""The game as it is played: rounds and turns, optimizers, averages, devices, and the record of a run."""
