"""Compaction: the many small ledger objects of a finished day become few sorted ones.

Read `day.py`, then `run.py`, which the schedule starts.
"""
