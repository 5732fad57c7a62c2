"""Dead-letter queues as operators work on them.

Read `queues.py` for which there are, `choice.py` for which letters are meant, `taking.py` for how they are
taken without losing any, then `redriving.py` and `purging.py`; `mask.py`, `telling.py` and `documents.py`
show them.
"""
