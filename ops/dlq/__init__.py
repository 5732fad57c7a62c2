"""Dead-letter queues as operators work on them.

Read `queues.py` for the queues, `filters.py` for the choice of messages, `held.py` and `drain.py` for how
they are received without losing any, then `redrive.py` and `purge.py`. `mask.py`, `tables.py` and
`json_output.py` show messages; `session.py` is what the commands have in common.
"""
