"""`make bench`: measure ours and the peers, and write docs/performance.md."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Final

from ops import signals

DESCRIPTION: Final = """\
Measure what an event costs, from process start and then one by one, beside peers that make the same
calls: user-space instructions (with valgrind), CPU time, memory, calls of DynamoDB, package sizes; then how
long a synth and an install take, what the audit function takes for a batch, and how much memory a process
has after 20,000 events. It takes up to 15 minutes on two quiet cores, and writes
build/bench/report.json, bench/report.json and docs/performance.md with its plots. Ctrl-C ends it and removes
what it started.

Peers: obvious (stripe, httpx, Powertools), bare (boto3, httpx), Node.js with and without Powertools, and
a webhook application. Their packages are installed into build/bench; a peer whose packages can't be installed
is left out, and the run says so.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    signals.raise_exceptions()
    from bench import measure

    parser = argparse.ArgumentParser(
        prog="python -m bench", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rounds",
        type=int,
        default=measure.ROUNDS,
        help="interleaved rounds for times (default: %(default)s)",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=measure.PARTS,
        help="leave a part out; the documents then stay as they are",
    )
    parser.add_argument(
        "--keep-peers",
        action="store_true",
        help="take the peers' instructions and the webhook from bench/report.json if they are the same peers",
    )
    parser.add_argument(
        "--only",
        choices=tuple(measure.ON_REQUEST),
        help="measure this part alone, and keep the rest of bench/report.json; only this option measures "
        "throughput, which deploys to the embedded AWS",
    )
    parser.add_argument("--page", action="store_true", help="only write the page of bench/report.json again")
    options = parser.parse_args(arguments)
    if options.rounds < 1:
        parser.error(f"invalid --rounds {options.rounds}: expected 1 or more")
    try:
        return _run(options)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return signals.INTERRUPTED


def _run(options: argparse.Namespace) -> int:
    from bench import measure, page, report
    from ops.console import open_console, print_error, print_line
    from ops.errors import OperatorError
    from ops.progress import Steps

    if options.only:
        try:
            found = measure.measure_alone(Steps(open_console()), options.only, report.read())
        except (OperatorError, RuntimeError) as error:
            print_error(f"bench: {error}")
            return signals.FAILED
        report.write(found, report.COMMITTED)
    elif not options.page:
        try:
            found = measure.measure(
                Steps(open_console()),
                options.rounds,
                options.without,
                report.read() if options.keep_peers else None,
            )
        except OperatorError as error:
            print_error(f"bench: {error}")
            return signals.FAILED
        report.write(found, report.WRITTEN)
        for line in found.missing:
            print_line(f"not measured: {line}")
        if options.without:
            print_line(f"wrote {report.WRITTEN}")
            return 0
        report.write(found.model_copy(update={"throughput": report.read().throughput}), report.COMMITTED)
    for path in page.write(report.read()):
        print_line(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
