"""The chaos suite: customer histories, a pipeline in which every part fails in turn, and a checked result.

Read `history.py` (what is sent), `phases.py` (what fails meanwhile), `verdict.py` (whether the promise was
kept) and `run.py`, in this order. What each part recorded is read by `ops/local/observer.py`.
"""
