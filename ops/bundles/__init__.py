"""The function bundles: deterministic zips for Lambda, built without Docker."""

from ops.bundles.builder import Bundle, build
from ops.bundles.target import LAMBDA, Target, host_target

__all__ = ["LAMBDA", "Bundle", "Target", "build", "host_target"]
