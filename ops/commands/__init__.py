"""The commands of the command line; each module adds its own to the app with `register`."""
