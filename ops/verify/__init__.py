"""The acceptance test of a deployment in Stripe's test mode: real events, followed to their end.

`objects.py` creates objects in Stripe and removes them, `following.py` follows their events through the
pipeline, and `report.py` says what became of each.
"""
