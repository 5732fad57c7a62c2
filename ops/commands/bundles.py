"""`huntaze-stripe bundles`: the ZIP files that Lambda runs."""

from __future__ import annotations

import typer

from ops.commands.options import Json
from ops.console import print_json, print_line


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(bundles)


def bundles(as_json: Json = False) -> None:
    """Build the function bundles for Lambda (arm64, Python 3.13)."""
    from ops import bundles as builder

    built = builder.build(builder.LAMBDA, lambda line: print_line(line, as_json=as_json))
    documents = [
        {
            "name": name,
            "path": str(bundle.path),
            "bytes": bundle.path.stat().st_size,
            "sha256": bundle.sha256,
        }
        for name, bundle in built.items()
    ]
    if as_json:
        print_json(documents)
        return
    for each in documents:
        print_line(f"{each['name']}  {each['bytes']} bytes  sha256 {each['sha256']}  {each['path']}")
