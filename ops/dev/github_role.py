"""`python -m ops.dev.github_role PART ENV`: the role that a workflow's job assumes, for $GITHUB_OUTPUT."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import boto3

from infra import settings as infra_settings
from infra.deployment_roles import POLICIES, Place
from infra.errors import InfraError
from ops.console import print_error, print_line
from ops.errors import OperatorError
from ops.signals import FAILED


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the ARN of the role and the region, as `name=value`; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m ops.dev.github_role", description=main.__doc__)
    parser.add_argument("part", choices=tuple(POLICIES))
    parser.add_argument("environment", metavar="ENV")
    options = parser.parse_args(arguments)
    try:
        place = find(options.environment)
    except (InfraError, OperatorError) as error:
        print_error(str(error))
        return FAILED
    print_line(f"arn={place.role_arn(options.part)}")
    print_line(f"region={place.region}")
    return 0


def find(environment: str) -> Place:
    """Return where an environment is deployed from GitHub.

    Raises
    ------
    InfraError
        The environment is unknown or incomplete.
    OperatorError
        Its settings do not say in which account, or that GitHub deploys it.
    """
    settings = infra_settings.load(environment)
    if not settings.deployed_by_github:
        raise OperatorError(
            f"GitHub does not deploy {environment}: set github_repository in environments/bootstrap.toml and "
            "run `make bootstrap`"
        )
    if not settings.aws_account_id:
        raise OperatorError(
            "aws_account_id is empty: set it to the 12 digits of the account in "
            f"environments/{environment}.toml"
        )
    partition = boto3.Session().get_partition_for_region(settings.aws_region)
    return Place(settings.aws_account_id, settings.aws_region, environment, settings.state_bucket, partition)


if __name__ == "__main__":
    sys.exit(main())
