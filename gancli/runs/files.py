"""The names of what lies in a run's directory (torch-free)."""

CONFIG = "config.yaml"  # resolved
OVERRIDES = "overrides.yaml"  # of the command line
PROVENANCE = "provenance.json"
STATUS = "status.json"
OWNER = "owner.json"  # who trains there now (runs/owner.py)
SWEEP = "sweep.json"  # in the folder of a sweep
LOG = "log.txt"
STATS = "stats.jsonl"  # a line of figures a tick
EVALUATION = "evaluation.json"  # how the figures of the best checkpoint were measured; `gan evaluate` calls its report so
ORACLE = "oracle.safetensors"  # the parameters of what drew the data, where that is known
SAMPLES = "samples"  # folder of pictures, or of texts
CHECKPOINTS = "checkpoints"  # folder
BEST = "best"  # in that folder: a text file with the name of the best one
