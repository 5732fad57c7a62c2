"""The commands of the ops command line, one module per command or group of commands."""
