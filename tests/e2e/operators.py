"""Roles that have the rights of one command each, as docs/permissions.md shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ops.local.clients import Aws
from ops.rights import Place, of_commands, without_options
from tests.emulator.roles import ACCOUNT, OPERATOR, operator, session

COMMANDS: Final = tuple(of_commands(Place("dev", ACCOUNT, "eu-west-1", "bus")))


@dataclass(frozen=True)
class Operators:
    """Give each command the credentials of a role with its rights; the role is created once.

    Parameters
    ----------
    aws
        The embedded AWS, with credentials that may create roles.
    """

    aws: Aws
    place: Place
    _roles: dict[str, str] = field(default_factory=dict)

    def variables(self, arguments: Iterable[str]) -> dict[str, str]:
        """Return the credentials for a command line, as environment variables."""
        command = command_of(list(arguments))
        if command not in self._roles:
            name = role_name(command).removeprefix(OPERATOR)
            self._roles[command] = operator(self.aws, name, of_commands(self.place)[command])
        return session(self.aws, self._roles[command]).credentials.environment()


def operators(aws: Aws, environment: str, bus: str, key_alias: str) -> Operators:
    """Return the operators of an environment whose key has this alias."""
    key = aws.client("kms").describe_key(KeyId=key_alias)["KeyMetadata"]["Arn"]
    return Operators(aws, Place(environment, ACCOUNT, aws.region, bus, key))


def role_name(command: str) -> str:
    """Return the name of a command's role."""
    return OPERATOR + command.replace(" --", "-").replace(" ", "-")


def command_of(arguments: list[str]) -> str:
    """Return the command of `ops.rights` that a command line is: the one with the most words of it.

    A dry run has the rights of the command without options.
    """
    options = set(arguments) if "--dry-run" not in arguments else set()
    found = [command for command in COMMANDS if _is(command, arguments, options)]
    return max(found, key=len)


def _is(command: str, arguments: list[str], options: set[str]) -> bool:
    words = without_options(command).split()
    wanted = {word for word in command.split() if word.startswith("--")}
    return arguments[: len(words)] == words and wanted <= options
