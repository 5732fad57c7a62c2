"""The figures of 2026-11-24 and the targets that were set with them, and why one is missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from bench.path import KINDS
from bench.report import BARE, NODE, NODE_POWERTOOLS, OBVIOUS, OURS, Report, Side

# What the page calls them; the others by their own names.
NAMES: Final = {NODE: "Node.js", NODE_POWERTOOLS: "Node.js, Powertools"}
BEFORE_DAY: Final = "2026-11-24"
MILLION: Final = 1_000_000
MB: Final = 1_000_000
SECOND_MS: Final = 1000

Value = float | None


@dataclass(frozen=True)
class Row:
    """One measure.

    Parameters
    ----------
    name
        With its unit.
    value
        Reads it from a side; None if the side does not have it.
    digits
        After the decimal point.
    before
        By side, on 2026-11-24.
    target
        The most that ours may be, or None.
    below
        Sides that ours shall be below, too.
    """

    name: str
    value: Callable[[Side], Value]
    digits: int = 0
    before: Mapping[str, float] = field(default_factory=dict)
    target: float | None = None
    below: tuple[str, ...] = ()

    def of(self, report: Report, side: str) -> Value:
        """Return a side's value."""
        found = report.sides.get(side)
        return None if found is None else self.value(found)

    def missed(self, report: Report) -> list[str]:
        """List what the target demands and ours is not."""
        ours = self.of(report, OURS)
        if ours is None:
            return []
        shown = round(ours, self.digits)
        faults = []
        if self.target is not None and shown > self.target:
            faults.append(f"{self.text(ours)} instead of {self.text(self.target)}")
        for side in self.below:
            theirs = self.of(report, side)
            if theirs is not None and ours >= theirs:
                faults.append(f"not below {NAMES.get(side, side)} ({self.text(theirs)})")
        return faults

    def text(self, value: Value) -> str:
        """Write a value."""
        return "" if value is None else f"{value:,.{self.digits}f}"


def _million(count: int | None) -> Value:
    return None if count is None else count / MILLION


def _zip(name: str) -> Callable[[Side], Value]:
    def read(side: Side) -> Value:
        size = side.zip_bytes.get(name)
        if size is None and len(side.zip_bytes) == 1 and name == "handlers":
            (size,) = side.zip_bytes.values()
        return None if size is None else size / MB

    return read


def _warm(kind: str, before: Mapping[str, float], target: float) -> Row:
    name = f"further event, M instructions: {_KIND_NAMES[kind]}"
    # Counts of Node.js move by a tenth with what its compiler decides.
    return Row(name, lambda side: _million(side.warm_instructions.get(kind)), 1, before, target, (NODE,))


def _calls(kind: str, before: float) -> Row:
    name = f"calls of DynamoDB an event: {_KIND_NAMES[kind]}"
    peers = dict.fromkeys((OBVIOUS, BARE, NODE, NODE_POWERTOOLS), 2.0)
    return Row(name, lambda side: side.dynamodb_calls.get(kind), 0, {OURS: before, **peers}, 2)


_KIND_NAMES: Final = {
    "each": "`each`",
    "once": "`once`",
    "latest": "`latest`",
    "end": "an object's end",
}
assert {kind.name for kind in KINDS} == set(_KIND_NAMES)
_PEERS_WARM: Final = {BARE: 12.2, NODE: 9.0, NODE_POWERTOOLS: 9.9}

COLD_INSTRUCTIONS: Final = Row(
    "first event, from process start: M instructions",
    lambda side: _million(side.cold_instructions),
    0,
    {OURS: 1952, OBVIOUS: 2524, BARE: 1897},
    1000,
)
COLD_CPU: Final = Row(
    "first event: CPU ms",
    lambda side: side.cold_cpu_ms,
    0,
    {OURS: 401, OBVIOUS: 543, BARE: 384, NODE: 225, NODE_POWERTOOLS: 232},
    200,
    (NODE, NODE_POWERTOOLS),
)
MEMORY: Final = Row(
    "first event: peak memory, MB",
    lambda side: side.peak_mb,
    0,
    {OURS: 55, OBVIOUS: 71, BARE: 52, NODE: 72},
    35,
)
WARM: Final = (
    _warm("each", {OURS: 13.3, **_PEERS_WARM}, 8),
    _warm("once", {OURS: 22.2}, 9),
    _warm("latest", {OURS: 27.2}, 10),
    _warm("end", {OURS: 36.2}, 12),
)
WARM_CPU: Final = Row("further event, CPU ms: `once`", lambda side: side.warm_cpu_ms, 2)
PER_SECOND: Final = Row("further events a second and core: `once`", lambda side: SECOND_MS / side.warm_cpu_ms)
HANDLERS_ZIP: Final = Row(
    "ZIP of the handlers, MB",
    _zip("handlers"),
    1,
    {OURS: 6.2, OBVIOUS: 28, BARE: 1.4, NODE: 0.2},
    4,
)
AUDIT_ZIP: Final = Row("ZIP of the audit function, MB", _zip("audit"), 1, {OURS: 6.5}, 5)
ROWS: Final = (
    COLD_INSTRUCTIONS,
    COLD_CPU,
    Row("first event: CPU of ours as a share of it", lambda side: side.cold_ratio, 2),
    MEMORY,
    *WARM,
    WARM_CPU,
    PER_SECOND,
    _calls("each", 2),
    _calls("once", 4),
    _calls("latest", 5),
    _calls("end", 7),
    HANDLERS_ZIP,
    AUDIT_ZIP,
)
SYNTH: Final = "synth of one environment"
INSTALL: Final = "install of the locked packages"
SYNTH_SECONDS, SYNTH_CPU_SECONDS, INSTALL_SECONDS = 1.5, 0.8, 15
SUITE: Final = "`make test` on 2 cores"
FIRST_LOCAL: Final = "first `make local`"
# What a bench does not run: the page that has the figure, and the target in seconds, which both miss.
ELSEWHERE: Final[Mapping[str, tuple[str, int]]] = {
    SUITE: ("[CONTRIBUTING](../CONTRIBUTING.md#tests)", 330),
    FIRST_LOCAL: ("[local](local.md)", 80),
}

# By the name of the row, for what misses its target.
WHY: Final[Mapping[str, str]] = {
    COLD_CPU.name: (
        "the machine is shared, and CPU time depends on what its caches and its neighbours do: runs of the "
        "same code took 214 to 374 ms, which was 0.89 to 1.16 of Node.js's in the same rounds. Instructions, "
        "which repeat, meet their target"
    ),
    AUDIT_ZIP.name: (
        "psycopg's binary libraries are 3.5 MB of it, stripped already: libcrypto and libssl 2.5, and 0.9 of "
        "Kerberos, LDAP and SASL, without which psycopg does not load. Without the packages' sources (0.36), "
        "which tracebacks quote, and the modules of other functions (0.16) it would still be 5.1"
    ),
    SYNTH: (
        "the CPU time is that of two programs: Python, which makes the tree of constructs, and Node.js, in "
        "which JSII runs CDKTF"
    ),
    SUITE: (
        "the chaos suite takes minutes of CPU time, and the end-to-end tests deploy several "
        "times with real Terraform: [tests](../tests/README.md)"
    ),
    FIRST_LOCAL: (
        "the apply alone takes 63 s on a quiet machine and 68 s with a load of 6: Terraform's provider "
        "mostly waits"
    ),
}


def commands_missed(report: Report) -> list[tuple[str, str]]:
    """List the commands that miss their target, and how."""
    found = [(name, f"more than {seconds} s: {page}") for name, (page, seconds) in ELSEWHERE.items()]
    synth, install = report.synth, report.install_seconds
    if synth is not None and (synth.seconds > SYNTH_SECONDS or synth.cpu_seconds > SYNTH_CPU_SECONDS):
        taken = f"{synth.seconds:.1f} s ({synth.cpu_seconds:.1f} s of CPU)"
        found.append((SYNTH, f"{taken} instead of {SYNTH_SECONDS} s ({SYNTH_CPU_SECONDS} s)"))
    if install is not None and install > INSTALL_SECONDS:
        found.append((INSTALL, f"{install:.0f} s instead of {INSTALL_SECONDS} s"))
    return found
