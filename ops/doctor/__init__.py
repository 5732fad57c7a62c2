"""Whether an environment can do its work: many small checks that read and change nothing.

Read `check.py` first, then `checks.py`, the list in the order of the table. Each check is a function of the
module that its part of the pipeline names; `run.py` makes them all at once.
"""
