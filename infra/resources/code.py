"""The function bundles in the stack's folder, which makes that complete for plan and apply."""

from cdktf import AssetType, TerraformAsset
from constructs import Construct

from infra.bundle import Bundles
from infra.resources.base import Capability
from infra.resources.function import Code


class CodeAssets(Capability):
    """The bundles of an environment as Terraform assets, by name."""

    def __init__(self, scope: Construct, id_: str, *, bundles: Bundles) -> None:
        super().__init__(scope, id_)
        self._code = {
            name: Code(
                # In the scope of the stack CDKTF adds no hash to the folder's name.
                TerraformAsset(
                    scope,
                    f"{name}_code",
                    path=str(bundle.path.resolve()),
                    type=AssetType.FILE,
                    asset_hash=bundle.sha256,
                ),
                bundle.sha256,
            )
            for name, bundle in sorted(bundles.items())
        }

    def __getitem__(self, name: str) -> Code:
        return self._code[name]
