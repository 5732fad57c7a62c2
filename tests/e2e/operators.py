"""Roles that have the rights of one command each, as docs/permissions.md shows them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infra.resources.policy import document
from ops.local.clients import Aws
from ops.rights import Place, Statements, of_commands
from tests.emulator.roles import ACCOUNT, session, trust

PREFIX = "operator-"


@dataclass(frozen=True)
class Operators:
    """Give commands the credentials of a role with their rights; each role is created once.

    Parameters
    ----------
    aws
        The embedded AWS, as somebody who may create roles.
    """

    aws: Aws
    place: Place
    _roles: dict[str, str] = field(default_factory=dict)

    def variables(self, arguments: Iterable[str]) -> dict[str, str]:
        """Return the credentials for a command line, as environment variables."""
        command = command_of(list(arguments))
        return self.session(command, of_commands(self.place)[command]).credentials.environment()

    def session(self, name: str, statements: Statements) -> Aws:
        """Return the embedded AWS for who has assumed a role with these statements alone."""
        if name not in self._roles:
            iam, role = self.aws.client("iam"), role_name(name)
            trusted = trust(AWS=f"arn:aws:iam::{ACCOUNT}:root")
            self._roles[name] = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trusted)["Role"][
                "Arn"
            ]
            iam.put_role_policy(RoleName=role, PolicyName=role, PolicyDocument=document(*statements))
        return session(self.aws, self._roles[name])


def operators(aws: Aws, environment: str, bus: str, key_alias: str) -> Operators:
    """Return the operators of an environment whose key has this alias."""
    key = aws.client("kms").describe_key(KeyId=key_alias)["KeyMetadata"]["Arn"]
    return Operators(aws, Place(environment, ACCOUNT, aws.region, bus, key))


def role_name(command: str) -> str:
    """Return the name of a command's role."""
    return PREFIX + command.replace(" --", "-").replace(" ", "-")


def command_of(arguments: list[str]) -> str:
    """Return the command of `ops.rights` that a command line is: the one with the most words of it.

    A dry run has the rights of the command without options.
    """
    options = set(arguments) if "--dry-run" not in arguments else set()
    found = [command for command in COMMANDS if _is(command, arguments, options)]
    return max(found, key=len)


def _is(command: str, arguments: list[str], options: set[str]) -> bool:
    words, *option = command.split(" --")
    length = len(words.split())
    return arguments[:length] == words.split() and all(f"--{each}" in options for each in option)


COMMANDS: Mapping[str, Statements] = of_commands(Place("dev", ACCOUNT, "eu-west-1", "bus"))
