"""The names of what lies in a run's directory (torch-free)."""

CONFIG = "config.yaml"  # resolved
OVERRIDES = "overrides.yaml"  # of the command line
PROVENANCE = "provenance.json"
STATUS = "status.json"
LOG = "log.txt"
STATS = "stats.jsonl"  # a line of figures a tick
EVALUATION = "evaluation.json"  # how the figures of the best checkpoint were measured; `gan evaluate` calls its report so
SAMPLES = "samples"  # folder of pictures
CHECKPOINTS = "checkpoints"  # folder
BEST = "best"  # in that folder: a text file with the name of the best one
