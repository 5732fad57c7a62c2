"""Replays: archived events, sent to the chosen rules of the bus again.

Read `archive.py` for what can be replayed, `rules.py` for the targets, `forecast.py` for what to expect,
then `starting.py`, `replays.py` and `record.py`.
"""
