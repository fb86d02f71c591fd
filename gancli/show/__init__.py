"""One run for a person: what to look at, one page of it, and a card to share it with; from its records alone, no torch."""
