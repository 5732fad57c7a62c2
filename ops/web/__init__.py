"""The console: what an environment does, in a browser on this machine. See README.md.

Read `server.py`, which serves `app.py` behind `guard.py`; then `page.py` and one of `pages/`.
"""
