"""The chaos suite: histories of customers, a pipeline whose parts fail meanwhile, and a verdict with figures.

Read `history.py` (what is sent), `phases.py` (what fails meanwhile), `seen.py` and `observe.py` (what every
part recorded), `verdict.py` (whether the promise was kept) and `run.py` in this order.
"""
