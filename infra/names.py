"""The names of environments, stacks and archives; loads without the CDKTF bindings."""

import hashlib
from typing import Final

PROJECT: Final = "huntaze-stripe"
# The value of the tag Component.
COMPONENT: Final = "stripe-eventbridge"
# The permissions boundary of a stack's roles, and the roles of those who deploy it. Not `huntaze-stripe-…`:
# the deploy role may change what has such a name.
DEPLOYER: Final = "huntaze-github"
BOUNDARY: Final = f"{DEPLOYER}-boundary"
BOOTSTRAP: Final = f"{PROJECT}-bootstrap"
# The table of the ledger for Athena, in the environment's database.
LEDGER_TABLE: Final = "deliveries"
# At most 16 characters: the longest name made of one, an archive's, may have 48.
ENVIRONMENT: Final = "[a-z][a-z0-9-]{1,15}"


def stack_name(environment: str) -> str:
    """The name of an environment's stack, as `cdktf deploy` takes it."""
    return f"{PROJECT}-{environment}"


def database_name(environment: str) -> str:
    """The name of an environment's database in the Glue Data Catalog.

    Athena reads a name with a hyphen only in quotes; no environment has an underscore in its name.
    """
    return stack_name(environment).replace("-", "_")


def archive_prefix(environment: str) -> str:
    """The common prefix of the names of an environment's archives, former ones included."""
    return f"{PROJECT}-archive-{environment}"


def archive_name(environment: str, event_source_name: str) -> str:
    """The name of the archive of an event source: each source has its own, so that two can exist."""
    return f"{archive_prefix(environment)}-{hashlib.sha256(event_source_name.encode()).hexdigest()[:8]}"
