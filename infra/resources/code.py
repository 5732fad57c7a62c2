"""Bundles copied into the stack's folder, so that it can be planned and applied anywhere."""

from cdktf import AssetType, TerraformAsset
from constructs import Construct

from infra.bundle import Bundles
from infra.resources.base import Capability
from infra.resources.function import Code


class CodeAssets(Capability):
    """The bundles of an environment as Terraform assets, each copied once."""

    def __init__(self, scope: Construct, id_: str, *, bundles: Bundles) -> None:
        super().__init__(scope, id_)
        self._code = {
            name: Code(
                # In the stack's own scope CDKTF adds no hash to the folder's name.
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
