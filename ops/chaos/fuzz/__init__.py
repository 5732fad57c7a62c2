"""Envelopes that nobody would send, through the handlers themselves: `envelopes.py`, `target.py`, `run.py`.

One process per handler, as in Lambda, with a real HTTP server for the API and an embedded AWS.
"""
