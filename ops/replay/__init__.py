"""Replays: what the archive holds, sent to the bus again, to the rules that are chosen.

Read `archive.py` for what may be replayed, `rules.py` for where it goes, `forecast.py` for what will come,
then `replays.py` and `record.py`.
"""
