"""What a stack needs besides its synthesised files if AWS_ENDPOINT_URL is an embedded AWS on loopback.

S3 is addressed by path, because 127.0.0.1 has no subdomains for buckets. Terraform merges an override file
into the stack; the stack's own files stay those of a real deploy.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from functions.shared import names

OVERRIDE_FILE: Final = "embedded_override.tf.json"
PROVIDER: Final = {
    "s3_use_path_style": True,
    "skip_metadata_api_check": True,
    "skip_region_validation": True,
}
BACKEND: Final = {
    "use_path_style": "true",
    "skip_credentials_validation": "true",
    "skip_metadata_api_check": "true",
    "skip_region_validation": "true",
    "skip_requesting_account_id": "true",
}


def is_embedded(environment: Mapping[str, str]) -> bool:
    """Return whether AWS_ENDPOINT_URL is on this machine."""
    return urlsplit(environment.get("AWS_ENDPOINT_URL", "")).hostname in names.LOOPBACK_HOSTS


def settle_override(folder: Path, environment: Mapping[str, str]) -> None:
    """Write the override file into a stack's folder, or remove that of an earlier run."""
    path = folder / OVERRIDE_FILE
    if is_embedded(environment):
        path.write_text(json.dumps({"provider": {"aws": PROVIDER}}, indent=2) + "\n")
    else:
        path.unlink(missing_ok=True)


def backend_options(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """Return the options of `terraform init` with which an S3 backend reaches an embedded AWS."""
    backend = json.loads((folder / "cdk.tf.json").read_text()).get("terraform", {}).get("backend", {})
    if "s3" not in backend or not is_embedded(environment):
        return []
    return [f"-backend-config={name}={value}" for name, value in BACKEND.items()]
