"""The policy scan find_faultss what a skip list hides."""

from __future__ import annotations

import pytest
import yaml

from infra import settings
from ops.dev.policy_scan import CONFIGURATION, KEY_CHECKS, OWN, find_faults

PLAIN = {("CKV_AWS_18", "ledger"), ("CKV_AWS_158", "logs")}


def test_failed_checks_that_are_skipped_are_not_faults() -> None:
    assert find_faults(PLAIN, set(), ["CKV_AWS_18", "CKV_AWS_158"]) == []


def test_failed_check_that_is_not_skipped_names_the_resource_and_the_next_step() -> None:
    (fault,) = find_faults(PLAIN, set(), ["CKV_AWS_158"])
    assert fault == "ledger fails CKV_AWS_18: fix it, or skip the check in .checkov.yaml with its reason"


def test_skipped_check_that_no_longer_fails_is_stale() -> None:
    (fault,) = find_faults(PLAIN, set(), ["CKV_AWS_18", "CKV_AWS_158", "CKV_AWS_300"])
    assert fault == "CKV_AWS_300 no longer fails: remove it from .checkov.yaml"


def test_resource_without_the_key_is_a_fault_although_its_check_is_skipped() -> None:
    keyed = {("CKV_AWS_158", "logs"), ("CKV_AWS_26", "alerts"), ("CKV_AWS_18", "ledger")}
    (fault,) = find_faults(PLAIN, keyed, ["CKV_AWS_18", "CKV_AWS_158"])
    assert fault == "logs does not use the key of create_kms_key (CKV_AWS_158): encrypt it with that key"


def test_every_check_of_the_key_is_skipped_by_default() -> None:
    assert set(yaml.safe_load(CONFIGURATION.read_text())["skip-check"]) >= KEY_CHECKS


@pytest.mark.parametrize("environment", settings.environments())
def test_no_environment_is_left_out(environment: str) -> None:
    assert settings.load(environment, environ=OWN).alert_addresses
