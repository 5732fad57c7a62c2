"""Stripe's event destination of an environment, by Stripe's API.

`wanted.py` says what it should be, `api.py` speaks with Stripe, `own.py` finds the environment's destination,
`event_source.py` waits for what Stripe creates in AWS, and `settings_file.py` writes its name into the
environment's file.
"""
