"""`make diagram`: draw docs/architecture.svg from the synthesised Terraform of prod."""

from __future__ import annotations

from typing import Any, Final

from ops import DEFAULT_ENVIRONMENT, ROOT
from ops.architecture.drawing import draw as drawn
from ops.architecture.topology import read
from ops.console import print_line
from ops.dev.synthesised import synthesised

FILE: Final = ROOT / "docs" / "architecture.svg"
# What the shipped file leaves to each operator, and the optional functions. Other variables of the process
# change nothing.
_OWN: Final = {
    "STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_diagram",
    "ALERT_EMAILS": "oncall@huntaze.com",
    "AUTO_REDRIVE": "true",
    "RECONCILE": "heal",
    "HEARTBEAT_MINUTES": "1440",
    "ARCHIVE_RETENTION_DAYS": "90",
}
_STYLE: Final = """
svg { --back: #ffffff; --lane: #f6f8fa; --box: #ffffff; --line: #d0d7de; --text: #1f2328; --soft: #59636e;
  --flow: #57606a; --fail: #bc4c00;
  font: 11.5px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", Arial, sans-serif; }
@media (prefers-color-scheme: dark) {
  svg { --back: #0d1117; --lane: #151b23; --box: #212830; --line: #3d444d; --text: #f0f6fc; --soft: #9198a1;
    --flow: #9198a1; --fail: #f0883e; }
}
.back { fill: var(--back); } .lane { fill: var(--lane); stroke: var(--line); }
.box { fill: var(--box); stroke: var(--line); } .outside { stroke-dasharray: 3 3; }
text { fill: var(--text); } .name { font-weight: 500; } .kind, .title { fill: var(--soft); font-size: 10px; }
.title { font-weight: 600; letter-spacing: .06em; text-transform: uppercase; }
.flow, .fail { fill: none; stroke: var(--flow); stroke-width: 1.4; }
.fail { stroke: var(--fail); stroke-dasharray: 5 3; }
.tip { fill: var(--flow); } .fail-tip { fill: var(--fail); }
.events { fill: #e7157b; } .lambda { fill: #ed7100; } .queue { fill: #8c4fff; } .store { fill: #4d72f3; }
""".strip()


def main() -> None:
    """Write the diagram."""
    FILE.write_text(svg(), encoding="utf-8")
    print_line(f"{FILE.relative_to(ROOT)} written")


def svg() -> str:
    """The diagram of an environment with every scheduled function; the same stack gives the same text."""
    document = synthesised(DEFAULT_ENVIRONMENT, _OWN)
    return draw(document, DEFAULT_ENVIRONMENT)


def draw(document: dict[str, Any], environment: str) -> str:
    """Draw a `cdk.tf.json`."""
    return drawn(read(document, environment), style=_STYLE)


if __name__ == "__main__":
    main()
