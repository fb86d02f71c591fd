"""What experiments have in common: playing the engine's game on paper-sized problems, tables, figures, films and pages."""
