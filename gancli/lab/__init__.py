"""Experiments on theory: each claim of a lecture as a small program with a table, a figure and, where it moves, a page.

Each module here is one experiment, found by its file and by conf/lab/<name>.yaml: its options (a dataclass `Options`) and
`experiment(options)`, which returns a gancli.lab.frame.result.Result.  What experiments have in common is in frame/.
"""
