"""What became of an event: its story, from Stripe to the ledger, for the command line and the console.

`facts.py` is all that is known of one event; `reading.py` reads it from AWS and Stripe. `composition.py`
makes the story of it, which `story.py` describes: `moments.py` its timeline, `attempts.py` what the functions
did, `records.py` what the idempotency table says, `reasons.py` its one sentence. `references.py` finds the
events about a customer or an object.
"""
