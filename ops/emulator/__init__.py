"""The embedded AWS, `python -m ops.emulator`: MiniStack with our fixes, on loopback."""
