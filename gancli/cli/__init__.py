"""The command line: one file per command, each of which parses, composes and calls one function."""
