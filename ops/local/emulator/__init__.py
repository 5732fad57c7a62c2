"""The embedded AWS, `python -m ops.local.emulator`: MiniStack with our fixes, on loopback."""
