"""Make the plans of `data/` again: `python -m tests.plans [NAME…]`, some minutes for all of them."""

from __future__ import annotations

import sys
from itertools import groupby

from tests.plans.files import store, store_text
from tests.plans.maker import running_maker
from tests.plans.variants import BASES, DANGEROUS, SAFE, VARIANTS


def main(names: list[str]) -> None:
    """Make the named plans, or all."""
    wanted = [variant for variant in VARIANTS if not names or variant.name in names]
    order = list(BASES)
    wanted.sort(key=lambda each: order.index(each.base))
    for base, variants in groupby(wanted, key=lambda each: each.base):
        with running_maker(base) as maker:
            for variant in variants:
                store(variant.name, maker.stored(maker.plan(variant)))
                if variant in (*SAFE, *DANGEROUS):
                    store_text(variant.name, maker.text(variant))


if __name__ == "__main__":
    main(sys.argv[1:])
