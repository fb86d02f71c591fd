"""What goes wrong in a run, named while it happens: signals, a history of them, and one detector for each failure."""
