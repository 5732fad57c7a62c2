"""The workflows from the pull request to the deploy, each step in order, with the roles of `bootstrap`.

The tests of this module follow each other. They change the deployment: `conftest.py` runs them late.
"""

from __future__ import annotations

import pytest

from functions import __version__
from functions.shared import names
from ops import ROOT
from ops.local import roles
from ops.local.deployment import ENVIRONMENT, shell_exports
from tests.e2e.pipeline import Pipeline
from tests.e2e.workflow import Workflow
from tests.ops.gh import GitHub

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("checkout")]

REPOSITORY = {"repository": roles.REPOSITORY, "ref": "refs/heads/main"}
AUDIT = f"huntaze-stripe-audit-{ENVIRONMENT}"
# What the pull request changes: a danger, because a replay reaches less far back then; and the secrets, which
# only the deploy may read.
CODE = {"ARCHIVE_RETENTION_DAYS": "29", "SECRET_VERSION": "2"}
DANGER = "accept-danger: retention-reduced aws_cloudcontrolapi_resource.events_archive"


@pytest.fixture(scope="module")
def github(tmp_path_factory: pytest.TempPathFactory) -> GitHub:
    return GitHub(tmp_path_factory.mktemp("github"))


@pytest.fixture(scope="module")
def workflow(pipeline: Pipeline, github: GitHub, tmp_path_factory: pytest.TempPathFactory) -> Workflow:
    """What the runner of GitHub has: no credentials, and no secret without its environment."""
    services = pipeline.deployment.services
    secret = {
        names.HUNTAZE_API_KEY: services.secrets.huntaze_api_key,
        names.STRIPE_SECRET_KEY: services.secrets.stripe_secret_key,
        names.DATABASE_URL: services.database_url,
    }
    known = {
        name: value
        for name, value in shell_exports(pipeline.deployment).items()
        if value not in secret.values() and name not in services.aws.credentials.environment()
    }
    account = services.aws.client("sts").get_caller_identity()["Account"]
    return Workflow(
        services.aws,
        tmp_path_factory.mktemp("runner"),
        github.folder,
        {**known, "AWS_ACCOUNT_ID": account},
        secret,
        {"ENVIRONMENTS": f'["{ENVIRONMENT}"]'},
    )


def pull_request(body: str) -> dict[str, object]:
    head = {"sha": "0" * 40, "repo": {"full_name": roles.REPOSITORY}}
    return {**REPOSITORY, "event": {"pull_request": {"number": "7", "body": body, "head": head}}}


def test_a_pull_request_with_a_danger_is_refused(workflow: Workflow, github: GitHub) -> None:
    jobs = workflow.run("plan.yml", "pull_request", pull_request("Save money"), **CODE)
    assert (jobs["plan"].result, jobs["plan"].failed) == ("failure", "Refuse a danger that nobody accepts")
    assert jobs["comment"].result == "success", jobs["comment"].said
    ((comment,), labels) = github["comments"], github["labels"]
    assert comment["of"] == 7
    assert DANGER.partition(" ")[2] in comment["body"].replace("`", "")
    assert labels == ["plan: danger"]


def test_a_pull_request_whose_danger_is_accepted_may_be_merged(workflow: Workflow, github: GitHub) -> None:
    text = f"Save money\n\n{DANGER} nobody replays after four weeks\n"
    jobs = workflow.run("plan.yml", "pull_request", pull_request(text), **CODE)
    assert [(job.result, job.failed) for job in jobs.values()] == [("success", "")] * 2, jobs["plan"].said
    (comment,) = github["comments"]
    assert "nobody replays after four weeks" in comment["body"]


def test_a_fork_is_not_planned(workflow: Workflow) -> None:
    event = pull_request("")
    event["repository"] = "huntaze/another"
    assert [job.result for job in workflow.run("plan.yml", "pull_request", event).values()] == ["skipped"] * 2


def test_drift_opens_an_issue(pipeline: Pipeline, workflow: Workflow, github: GitHub) -> None:
    iam = pipeline.deployment.services.aws.client("iam")
    iam.delete_role_permissions_boundary(RoleName=AUDIT)
    jobs = workflow.run("drift.yml", "schedule", REPOSITORY)
    assert [job.result for job in jobs.values()] == ["success"] * 2, jobs["plan"].said
    (issue,) = github["issues"]
    assert (issue["state"], issue["title"]) == ("open", f"Drift in AWS: {ENVIRONMENT}")
    changed = "### Changed in AWS since the last apply\n\n- `aws_iam_role.audit_role`\n\n"
    assert changed in issue["body"]


def test_a_deploy_applies_what_was_approved(pipeline: Pipeline, workflow: Workflow) -> None:
    jobs = workflow.run("deploy.yml", "push", REPOSITORY, **CODE)
    assert [job.result for job in jobs.values()] == ["success"] * 2, [job.said for job in jobs.values()]
    assert "retention-reduced" in jobs["plan"].summary
    assert "the deploy writes its value again: `secret_version` `1` → `2`" in jobs["plan"].summary
    assert not (ROOT / "approved").exists()
    aws = pipeline.deployment.services.aws
    (archive,) = aws.client("events").list_archives()["Archives"]
    assert archive["RetentionDays"] == 29
    assert "PermissionsBoundary" in aws.client("iam").get_role(RoleName=AUDIT)["Role"]


def test_the_issue_is_closed_when_the_drift_is_gone(workflow: Workflow, github: GitHub) -> None:
    jobs = workflow.run("drift.yml", "schedule", REPOSITORY, **CODE)
    assert [job.result for job in jobs.values()] == ["success"] * 2, jobs["plan"].said
    (issue,) = github["issues"]
    assert issue["state"] == "closed"


def test_a_tag_becomes_a_release(workflow: Workflow, github: GitHub) -> None:
    tag = f"v{__version__}"
    jobs = workflow.run("release.yml", "push", {**REPOSITORY, "ref": f"refs/tags/{tag}", "ref_name": tag})
    assert [job.result for job in jobs.values()] == ["success"] * 2, [job.said for job in jobs.values()]
    (release,) = github["releases"]
    assert release["tag"] == tag
    assert {"SHA256SUMS", "functions.cdx.json"} < set(release["files"])
    assert release["notes"].startswith("### ")


def test_a_tag_that_is_not_the_version_releases_nothing(workflow: Workflow, github: GitHub) -> None:
    jobs = workflow.run("release.yml", "push", {**REPOSITORY, "ref_name": "v9.9.9"})
    assert (jobs["build"].failed, jobs["publish"].result) == ("Build what is released", "skipped")
    assert len(github["releases"]) == 1


def test_no_step_but_the_apply_was_given_a_secret(workflow: Workflow) -> None:
    """Of the steps that the tests above ran: other jobs run code that nobody may have reviewed."""
    assert all(workflow.secrets.values())
    ran = {(each.workflow, each.job) for each in workflow.steps}
    assert {
        ("plan.yml", "plan"),
        ("plan.yml", "comment"),
        ("drift.yml", "plan"),
        ("deploy.yml", "plan"),
        ("deploy.yml", "apply"),
        ("release.yml", "build"),
    } < ran
    with_secrets = {
        (each.workflow, each.job, each.name)
        for each in workflow.steps
        if any(secret in value for secret in workflow.secrets.values() for value in each.given.values())
    }
    assert with_secrets == {("deploy.yml", "apply", "Plan again, and apply it if it is what was approved")}
