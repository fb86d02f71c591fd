"""From a composed configuration to a checked plan, and what `gan validate` tells of it."""
