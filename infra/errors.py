"""Errors that stop a synth. Each message is one line with the next step.

InfraError
 ├─ SettingsError          a setting is missing, misspelled or wrong
 │   └─ IncompleteError    an environment's file lacks a required setting
 └─ RoutingError           EventBridge rules cannot be made from the routing table
"""


class InfraError(Exception):
    """The stacks cannot be synthesised."""


class SettingsError(InfraError):
    """A setting is missing, misspelled or wrong."""


class IncompleteError(SettingsError):
    """An environment's file lacks a required setting.

    Parameters
    ----------
    fact
        What is missing, and where.
    step
        What to do about it.
    """

    def __init__(self, fact: str, step: str) -> None:
        super().__init__(f"{fact}; {step}")
        self.fact = fact
        self.step = step


class RoutingError(InfraError):
    """EventBridge rules cannot be made from the routing table."""
