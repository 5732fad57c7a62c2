"""The parts of both reference APIs: a real HTTP server with a memory, which injects faults.

Read `messages.py` first, then `server.py`, `exchange.py` and `faults.py`, in the order of a request;
`foreground.py` and `thread.py` are the two ways to run it.
"""
