"""The traces that a run leaves: status, log, figures, pictures, checkpoints, diagnosis, evaluation."""
