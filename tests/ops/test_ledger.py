"""What the functions log while a command reads the ledger stays out of what the command prints."""

from __future__ import annotations

import pytest

from functions.shared import telemetry
from ops.ledger import log_to_standard_error


def test_log_of_an_object_that_cannot_be_read_goes_to_standard_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    log_to_standard_error()
    telemetry.logger.warning("ledger object not read", extra={"key": "audit/x"})
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "ledger object not read" in captured.err
