"""What Terraform's messages become for people."""

from __future__ import annotations

import json

from ops.terraform.messages import MOST_CHARACTERS, Reader


def after_error(summary: str, detail: str, **more: str) -> Reader:
    """Return a reader that has read one error."""
    reader = Reader()
    diagnostic = {"severity": "error", "summary": summary, "detail": detail, **more}
    reader.read(json.dumps({"type": "diagnostic", "diagnostic": diagnostic}))
    return reader


def read_error(summary: str, detail: str) -> str:
    (line,) = after_error(summary, detail, address="aws_sqs_queue.q").errors
    return line


def test_a_diagnostic_of_many_lines_is_one_line() -> None:
    assert (
        read_error("creating queue:\n\tno answer", "a\n\n  b")
        == "aws_sqs_queue.q: creating queue: no answer: a b"
    )


def test_what_terraform_keeps_is_listed_by_its_address() -> None:
    detail = (
        "Resource aws_sqs_queue.q has lifecycle.prevent_destroy set, but the plan calls for this resource to "
        "be destroyed. To avoid this error and continue with the plan, either disable "
        "lifecycle.prevent_destroy or reduce the scope of the plan using the -target option."
    )
    reader = after_error("Instance cannot be destroyed", detail)
    assert (reader.kept, reader.errors) == (["aws_sqs_queue.q"], [])


def test_a_held_state_names_who_holds_it() -> None:
    detail = (
        "Error message: PreconditionFailed\nLock Info:\n  ID:        31cab5f1\n"
        "  Path:      a/b\n  Operation: OperationTypePlan\n  Who:       root@vm\n  Version:   1.11.4\n"
        "  Created:   2026-12-01 01:32:39.551609573 +0000 UTC\n  Info:      \n\n\nTerraform acquires"
    )
    assert after_error("Error acquiring the state lock", detail).errors == [
        "Error acquiring the state lock: Plan by root@vm since 2026-12-01 01:32:39 UTC holds it as 31cab5f1"
    ]


def test_a_long_diagnostic_is_cut() -> None:
    line = read_error("x" * 5000, "")
    assert len(line) == MOST_CHARACTERS + 2
    assert line.endswith("x …")
