"""Errors that stop a synth. Each message is one line that names the next step.

InfraError
 ├─ SettingsError          a setting is missing, misspelled or wrong
 │   └─ IncompleteError    an environment's file lacks a required setting
 └─ RoutingError           the routing table can't become EventBridge rules
"""


class InfraError(Exception):
    """The stacks can't be synthesised."""


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
    """The routing table can't become EventBridge rules."""
