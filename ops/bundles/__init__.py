"""The function bundles: deterministic zips for Lambda, built without Docker."""

from ops.bundles.builder import Bundle, build
from ops.bundles.interpreter import described_python, host_target
from ops.bundles.target import LAMBDA, Target

__all__ = ["LAMBDA", "Bundle", "Target", "build", "described_python", "host_target"]
