"""Many jobs from one command: launching, continuing, matching, isolation."""
