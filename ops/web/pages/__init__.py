"""One module for each page; `ops/web/navigation.py` lists them."""
