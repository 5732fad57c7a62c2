"""Synthesise the stacks: settings and bundles in, a folder of Terraform JSON out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.bootstrap import BootstrapStack
from infra.bundle import Bundles
from infra.constructs.base import new_app
from infra.settings import Settings, StateSettings
from infra.stack import EnvironmentStack


def synthesise(
    outdir: Path,
    *,
    state: StateSettings,
    environments: Sequence[Settings],
    bundles: Mapping[str, Bundles],
) -> None:
    """Write the bootstrap stack and one stack per environment below `outdir`/stacks.

    The same input gives the same bytes, wherever `outdir` and the checkout are.

    Parameters
    ----------
    bundles
        The function bundles of each environment, by its name.

    Raises
    ------
    RoutingError
        The routing table can't become EventBridge rules.
    """
    app = new_app(outdir)
    BootstrapStack(app, state)
    for settings in environments:
        EnvironmentStack(app, settings=settings, bundles=bundles[settings.environment])
    app.synth()
