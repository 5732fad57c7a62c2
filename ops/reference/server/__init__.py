"""What both reference APIs are made of: a real HTTP server that remembers, and can be told to fail.

Read `messages.py` first, then `server.py`, `exchange.py` and `faults.py`, in the order of a request;
`foreground.py` and `thread.py` are the two ways to run it.
"""
