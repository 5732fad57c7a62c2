"""`make dev`: a kept run in which a saved file is live within seconds."""

from ops.local.loop.session import follow

__all__ = ["follow"]
