"""Dead-letter queues: their messages, why each failed, and how a message is redriven.

Read `message.py`, `queue.py` and `redrive.py`, which the operators' commands use too. Then the automatic
redrive: `auto_redrive.py` starts a run, `drain.py` empties the queues, `scheduler.py` chooses the next event.
"""
