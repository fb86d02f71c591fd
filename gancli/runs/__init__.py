"""What a run leaves on disk: its directory, checkpoints, status and provenance, and how runs are found again."""
