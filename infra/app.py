"""Synthesise the stacks: from settings and bundles to a folder of Terraform JSON."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from infra import fast_provider, forgotten
from infra.bundle import Bundles
from infra.names import stack_name
from infra.settings import Settings, StateSettings

# The package of the provider that Terraform may install; see the file.
PROVIDER_LOCK: Final = Path(__file__).with_name("terraform.lock.hcl")


def synthesise(
    outdir: Path,
    *,
    state: StateSettings,
    environments: Sequence[Settings],
    bundles: Mapping[str, Bundles],
    deployed: Sequence[Settings] = (),
) -> None:
    """Write the bootstrap stack and one stack per environment below `outdir`/stacks.

    The same input gives the same bytes, wherever `outdir` and the checkout are.

    Parameters
    ----------
    bundles
        The function bundles of each environment, by its name.
    deployed
        The environments whose roles the bootstrap stack creates.

    Raises
    ------
    RoutingError
        EventBridge rules cannot be made from the routing table.
    """
    fast_provider.start_jsii()
    # After start_jsii: the bindings would start Node.js without its options.
    from infra.bootstrap import BootstrapStack
    from infra.resources.base import new_app
    from infra.stack import EnvironmentStack

    for settings in environments:
        # CDKTF leaves the bundles of an earlier synth in place.
        shutil.rmtree(outdir / "stacks" / stack_name(settings.environment) / "assets", ignore_errors=True)
    app = new_app(outdir)
    BootstrapStack(app, state, deployed)
    stacks = [
        EnvironmentStack(app, settings=settings, bundles=bundles[settings.environment])
        for settings in environments
    ]
    app.synth()
    for each, settings in zip(stacks, environments, strict=True):
        file = outdir / "stacks" / stack_name(settings.environment) / forgotten.FILE
        file.write_text(forgotten.blocks(each.forgotten), encoding="utf-8")
    for stack in (outdir / "stacks").iterdir():
        shutil.copyfile(PROVIDER_LOCK, stack / ".terraform.lock.hcl")
