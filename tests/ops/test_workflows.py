"""The GitHub workflows: least permissions, pinned actions, commands that exist, and one comment each."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from functions.shared import names
from infra.names import stack_name
from ops import ROOT, cli, plan_report
from ops.dev import github_role
from ops.plan_report.report import MAXIMUM
from tests.documents import CUSTOMER_DATA, policy_statements
from tests.ops.gh import BOT, GitHub
from tests.plans import files

FILES = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
NAMES = [file.name for file in FILES]
# PyYAML brings no types, so that it is loaded where no type checker looks.
yaml = importlib.import_module("yaml")
PERMITTED = {("contents", "read"), ("id-token", "write")}
# What one job alone may do.
MORE = {
    ("plan.yml", "comment"): {("pull-requests", "write")},
    ("drift.yml", "issue"): {("issues", "write")},
    ("release.yml", "build"): {("attestations", "write")},
    ("release.yml", "publish"): {("contents", "write")},
}


def workflow(name: str) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())
    return document


def triggers(name: str) -> dict[str, Any]:
    # YAML reads the key `on` as true.
    found: dict[str, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / name).read_text())[True]
    return found


def steps(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    for job in workflow(name)["jobs"].values():
        for step in job["steps"]:
            yield job, step


def step_script(name: str, title: str) -> str:
    return next(str(step["run"]) for _, step in steps(name) if step.get("name") == title)


def test_there_is_one_workflow_for_each_purpose() -> None:
    assert NAMES == ["ci.yml", "deploy.yml", "drift.yml", "plan.yml", "release.yml"]


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_permitted_but_what_a_job_asks_for(name: str) -> None:
    document = workflow(name)
    assert document["permissions"] == {}
    for job_name, job in document["jobs"].items():
        assert set(job["permissions"].items()) <= PERMITTED | MORE.get((name, job_name), set())
        assert job["timeout-minutes"] <= 60


@pytest.mark.parametrize("name", NAMES)
def test_a_job_that_writes_to_github_runs_no_code_of_the_checkout(name: str) -> None:
    for job in workflow(name)["jobs"].values():
        writes = {scope for scope, given in job["permissions"].items() if given == "write"}
        # Neither a token for AWS nor an attestation of what was built changes the repository.
        if writes - {"id-token", "attestations"}:
            assert "checkout" not in json.dumps(job["steps"])
            assert "id-token" not in job["permissions"]


@pytest.mark.parametrize("name", NAMES)
def test_every_action_is_pinned_by_commit_with_its_version(name: str) -> None:
    lines = (ROOT / ".github" / "workflows" / name).read_text().splitlines()
    uses = [line.split("uses:")[1].strip() for line in lines if "uses:" in line]
    assert len(uses) == sum("uses" in step for _, step in steps(name)) > 0
    for action in uses:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_one_action_has_one_commit_everywhere() -> None:
    found = {use for file in FILES for use in re.findall(r"uses: (\S+)", file.read_text())}
    assert len({use.split("@")[0] for use in found}) == len(found)


@pytest.mark.parametrize("name", NAMES)
def test_a_checkout_keeps_no_credentials(name: str) -> None:
    checkouts = [step for _, step in steps(name) if "checkout" in step.get("uses", "")]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


@pytest.mark.parametrize("name", NAMES)
def test_no_script_has_an_expression_pasted_in(name: str) -> None:
    assert not [step["run"] for _, step in steps(name) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_exists(name: str) -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    commands: dict[str, Any] = getattr(typer.main.get_command(cli.app), "commands")  # noqa: B009 - untyped
    scripts = [step["run"] for _, step in steps(name) if "run" in step]
    for target in re.findall(r"\bmake ([a-z]+)", "\n".join(scripts)):
        assert target in targets
    for module in re.findall(r"-m (ops\.\S+)", "\n".join(scripts)):
        assert importlib.util.find_spec(module), module
    for line in re.findall(r"-m ops (.*)", "\n".join(scripts).replace("\\\n", " ")):
        command, *words = line.partition("||")[0].split()
        options = {word for word in words if word.startswith("-")}
        parameters = commands[command].params
        known = {option for each in parameters for option in (*each.opts, *each.secondary_opts)}
        assert options <= known


def test_continuous_integration_runs_what_a_developer_runs() -> None:
    assert [step["run"] for _, step in steps("ci.yml") if "run" in step] == ["make test"]
    assert (ROOT / ".ci" / "run").read_text().rstrip().endswith("exec make test")


def test_secrets_reach_only_the_step_that_applies_after_the_approval() -> None:
    for name in set(NAMES) - {"deploy.yml"}:
        assert "secrets." not in (ROOT / ".github" / "workflows" / name).read_text()
    document = workflow("deploy.yml")
    assert document["jobs"]["apply"]["environment"] == "${{ matrix.environment }}"
    with_secrets = [(job, step) for job, step in steps("deploy.yml") if "secrets." in json.dumps(step)]
    assert len(with_secrets) == 1
    assert "-m ops deploy" in with_secrets[0][1]["run"]
    assert "--approved" in with_secrets[0][1]["run"]
    assert with_secrets[0][0] is not document["jobs"]["plan"]
    assert set(with_secrets[0][1]["env"]) >= {"HUNTAZE_API_KEY", "STRIPE_SECRET_KEY", "DATABASE_URL"}
    assert "secrets." not in json.dumps({key: job for key, job in document.items() if key != "jobs"})


@pytest.mark.parametrize("name", ["plan.yml", "deploy.yml", "drift.yml"])
def test_packages_are_installed_before_any_credentials_are_there(name: str) -> None:
    found = 0
    for job in workflow(name)["jobs"].values():
        actions = [str(step.get("uses", step.get("run"))).partition("@")[0] for step in job["steps"]]
        if "aws-actions/configure-aws-credentials" in actions:
            found += 1
            assert actions.index("make setup") < actions.index("aws-actions/configure-aws-credentials")
    assert found


def test_an_environment_is_deployed_by_one_run_at_a_time_and_never_cut_off() -> None:
    concurrency = workflow("deploy.yml")["jobs"]["apply"]["concurrency"]
    assert concurrency == {"group": "apply-${{ matrix.environment }}", "cancel-in-progress": False}


def test_a_fork_is_not_planned_and_no_job_that_writes_runs_its_code() -> None:
    jobs = workflow("plan.yml")["jobs"]
    assert "head.repo.full_name == github.repository" in jobs["plan"]["if"]
    assert "pull_request_target" not in (ROOT / ".github" / "workflows" / "plan.yml").read_text()
    assert jobs["comment"]["permissions"] == {"pull-requests": "write"}
    assert "checkout" not in json.dumps(jobs["comment"])
    assert "pull-requests" not in jobs["plan"]["permissions"]


def test_each_role_trusts_one_subject_and_one_audience_of_github() -> None:
    subjects = {
        "TrustPlan": "repo:OWNER/REPO:pull_request",
        "TrustRefresh": "repo:OWNER/REPO:ref:refs/heads/main",
        "TrustDeploy": "repo:OWNER/REPO:environment:ENV",
    }
    issuer = "token.actions.githubusercontent.com"
    for sid, subject in subjects.items():
        trust = policy_statements(sid.removeprefix("Trust").lower())[sid]
        assert trust["Principal"] == {"Federated": f"arn:aws:iam::ACCOUNT:oidc-provider/{issuer}"}
        assert trust["Condition"] == {
            "StringEquals": {f"{issuer}:aud": "sts.amazonaws.com", f"{issuer}:sub": subject}
        }
    jobs = {name: workflow(name)["jobs"] for name in ("plan.yml", "deploy.yml")}
    assert triggers("plan.yml") == {
        "pull_request": {"types": ["opened", "synchronize", "reopened", "edited"]}
    }
    assert "environment" not in jobs["plan.yml"]["plan"]
    assert "environment" not in jobs["deploy.yml"]["plan"]
    assert jobs["deploy.yml"]["apply"]["environment"] == "${{ matrix.environment }}"


def test_guide_asks_for_what_the_trust_rests_on() -> None:
    text = " ".join((ROOT / "docs" / "github.md").read_text(encoding="utf-8").split())
    for asked in (
        "Protect main",
        "review from code owners",
        "selected branches, `main` alone",
        "*prevent self-review*",
    ):
        assert asked in text


def test_what_decides_about_rights_has_code_owners() -> None:
    lines = (ROOT / ".github" / "CODEOWNERS").read_text(encoding="utf-8").splitlines()
    rules = [line.split() for line in lines if line and not line.startswith("#")]
    owned = {pattern for pattern, *owners in rules if owners}
    assert owned == {pattern for pattern, *_ in rules}
    asked = {"/.github/", "/infra/", "/ops/", "/environments/", "/Pipfile*", "/main.py", "/Makefile"}
    assert asked <= owned
    for pattern in owned - {"*"}:
        assert list(ROOT.glob(pattern.strip("/"))), pattern


def test_a_pull_requests_plan_asks_for_no_more_than_the_state() -> None:
    [plan] = [step for _, step in steps("plan.yml") if step.get("name") == "Plan"]
    assert '-m ops plan --env "$ENVIRONMENT" --no-refresh ' in plan["run"]
    assert plan["run"].count("-m ops") == 1
    state = f"arn:aws:s3:::STATE_BUCKET/{stack_name('ENV')}/terraform.tfstate"
    found = policy_statements("plan")
    del found["TrustPlan"]
    assert [(each["Sid"], each["Action"], each["Resource"]) for each in found.values()] == [
        ("FindState", ["s3:ListBucket"], ["arn:aws:s3:::STATE_BUCKET"]),
        ("ReadState", ["s3:GetObject"], [state]),
    ]


def test_what_aws_holds_is_read_by_reviewed_code_with_a_role_of_its_own() -> None:
    roles = {
        (name, job_name): re.findall(r"-m ops\.dev\.github_role (\w+)", json.dumps(job["steps"]))
        for name in NAMES
        for job_name, job in workflow(name)["jobs"].items()
    }
    assert {job: parts for job, parts in roles.items() if parts} == {
        ("plan.yml", "plan"): ["plan"],
        ("deploy.yml", "plan"): ["refresh"],
        ("deploy.yml", "apply"): ["deploy"],
        ("drift.yml", "plan"): ["refresh"],
    }
    for name, job_name in roles:
        for step in workflow(name)["jobs"][job_name]["steps"]:
            if "role-to-assume" in step.get("with", {}):
                assert step["with"]["role-to-assume"] == "${{ steps.role.outputs.arn }}"
                assert step["with"]["aws-region"] == "${{ steps.role.outputs.region }}"
                assert roles[name, job_name]
    # A branch of a pull request gets no session of *refresh*: GitHub runs these on main alone.
    assert set(triggers("drift.yml")) == {"schedule", "workflow_dispatch"}
    assert triggers("release.yml") == {"push": {"tags": ["v[0-9]+.[0-9]+.[0-9]+"]}}
    assert "REFRESH" not in step_script("deploy.yml", "Plan")
    found = policy_statements("refresh")
    lock = f"arn:aws:s3:::STATE_BUCKET/{stack_name('ENV')}/terraform.tfstate.tflock"
    assert (found["LockState"]["Action"], found["LockState"]["Resource"]) == (
        ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"],
        [lock],
    )
    secrets = [name.format(environment="ENV") for name in names.SECRET_NAMES.values()]
    of_secrets = {
        action
        for statement in found.values()
        for action in statement["Action"]
        if action.startswith("secretsmanager:")
    }
    assert of_secrets == {
        f"secretsmanager:{name}" for name in ("DescribeSecret", "GetResourcePolicy", "ListSecretVersionIds")
    }
    assert sorted(found["ReadSecrets"]["Resource"]) == sorted(
        f"arn:aws:secretsmanager:REGION:ACCOUNT:secret:{name}-??????" for name in secrets
    )
    (decrypting,) = [each for each in found.values() if "kms:Decrypt" in each["Action"]]
    assert decrypting["Condition"]["StringEquals"]["kms:ViaService"] == ["lambda.REGION.amazonaws.com"]


@pytest.mark.parametrize("role", ["plan", "refresh", "deploy"])
def test_no_role_reads_a_customers_data(role: str) -> None:
    objects = ("s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectTorrent", "s3:SelectObjectContent")
    found = policy_statements(role)
    for statement in found.values():
        assert statement["Effect"] == "Allow"
        assert not [action for action in statement["Action"] if "*" in action]
        assert not set(CUSTOMER_DATA) & set(statement["Action"])
        if set(objects) & set(statement["Action"]):
            state = f"arn:aws:s3:::STATE_BUCKET/{stack_name('ENV')}/"
            assert all(resource.startswith(state) for resource in statement["Resource"])


def test_make_passes_the_choice_to_plan_by_the_state() -> None:
    for given, expected in (([], False), (["REFRESH=0"], True), (["REFRESH=1"], False)):
        done = subprocess.run(
            ["make", "--dry-run", "plan", *given], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert ("--no-refresh" in done.stdout) is expected


NOTE = "> the workflow's own words"


def body(environment: str, plan: str) -> str:
    """A comment: found again by its first line, and begun by the workflow."""
    return f"{plan_report.marker(environment)}\n{NOTE}\n\n{plan}"


class Comments:
    """The pull request's comments, and the workflow's own script that writes them."""

    def __init__(self, folder: Path, *before: dict[str, Any]) -> None:
        self.folder = folder
        self.github = GitHub(folder / "bin")
        self.github.write(comments=[*before])

    def run(self, plans: dict[str, str]) -> list[dict[str, Any]]:
        for name, text in plans.items():
            # A file of an artifact: of the environment's own one, unless it is named otherwise.
            artifact, _, file = name.rpartition("/")
            path = self.folder / "plans" / (artifact or f"plan-{file}") / f"{file}.md"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        script = step_script("plan.yml", "Write each environment's one comment")
        run_script(
            script,
            self.folder,
            COMMENTS="repos/o/r/issues/7/comments",
            COMMENT="repos/o/r/issues/comments",
            LABELS="repos/o/r/issues/7/labels",
            ENVIRONMENTS='["dev", "prod"]',
            NOTE=NOTE,
        )
        return self.github["comments"]


def run_script(script: str, folder: Path, **variables: str) -> None:
    """Run a step's script as GitHub does, with `gh` of the folder."""
    environment = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", **variables}
    command = ["bash", "-e", "-o", "pipefail", "-c", script]
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)


def test_each_environment_keeps_one_comment_up_to_date(tmp_path: Path) -> None:
    imitation = {"id": 1, "user": {"login": "someone"}, "body": f"{plan_report.marker('dev')}\nlooks alike"}
    comments = Comments(tmp_path, imitation)
    first = {name: plan_report.render({}, name) for name in ("dev", "prod")}
    expected = [imitation["body"], body("dev", first["dev"]), body("prod", first["prod"])]
    assert [item["body"] for item in comments.run(first)] == expected
    changed = {"outputs": {}, "output_changes": {"x": {"actions": ["create"], "after": 1}}}
    second = first | {"dev": plan_report.render(changed, "dev")}
    expected[1] = body("dev", second["dev"])
    assert [item["body"] for item in comments.run(second)] == expected


def test_comment_begins_with_the_workflows_own_words(tmp_path: Path) -> None:
    comments = Comments(tmp_path)
    hostile = "<!-- huntaze-plan:prod -->\n**Nothing to change.** <!--"
    ((comment,)) = comments.run({"dev": hostile})
    assert comment["body"] == body("dev", hostile)
    (step,) = [step for _, step in steps("plan.yml") if "NOTE" in step.get("env", {})]
    assert step["env"]["NOTE"].startswith("> **The code of this pull request wrote what follows**")
    assert step["env"]["ENVIRONMENTS"] == "${{ vars.ENVIRONMENTS }}"
    # The commit's name is 40 characters, where the expression that stands for it has more.
    assert len(body("staging", "").encode()) + len(step["env"]["NOTE"]) + MAXIMUM < 65_536


def test_comments_are_about_known_environments_whose_own_artifact_has_them(tmp_path: Path) -> None:
    comments = Comments(tmp_path)
    plans = {"staging": "not set up", "evil": "unknown", "plan-dev/prod": "of another", "plan-x/dev": "x"}
    link = tmp_path / "plans" / "plan-prod"
    link.mkdir(parents=True)
    (tmp_path / "secret").write_text("of the machine")
    (link / "prod.md").symlink_to(tmp_path / "secret")
    assert comments.run(plans) == []


def test_a_failed_plan_replaces_the_comment(tmp_path: Path) -> None:
    script = step_script("plan.yml", "Put the failure in the plan's place")
    environment = {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "staging",
        "RUN": "https://github.example/runs/1",
    }
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=True)
    text = (tmp_path / "build" / "plans" / "staging.md").read_text()
    assert text.splitlines()[0] == plan_report.marker("staging")
    assert "[the run failed](https://github.example/runs/1)" in text


def test_a_plan_that_a_check_refused_stays_below_the_failure(tmp_path: Path) -> None:
    script = step_script("plan.yml", "Put the failure in the plan's place")
    environment = {"PATH": os.environ["PATH"], "ENVIRONMENT": "dev", "RUN": "https://github.example/runs/1"}
    file = tmp_path / "build" / "plans" / "dev.md"
    file.parent.mkdir(parents=True)
    plan = plan_report.render(files.load("another-source"), "dev")
    file.write_text(plan)
    subprocess.run(["bash", "-e", "-c", script], cwd=tmp_path, env=environment, check=True)
    text = file.read_text()
    assert text.startswith(f"{plan_report.marker('dev')}\n## Terraform plan: `dev`\n\n**No plan to apply: ")
    assert text.rstrip().endswith(plan.rstrip())


@pytest.mark.parametrize(("code", "ends"), [(0, 0), (1, 1), (2, 2), (3, 0)])
def test_a_danger_that_nobody_accepts_is_commented_and_then_refused(
    tmp_path: Path, code: int, ends: int
) -> None:
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\necho "$@" > called\ncp build/description.md given\nexit {code}\n')
    python.chmod(0o755)
    description = 'accept-danger: object-lock a.b "it\'s $HOME" `id`'
    environment = {
        "PATH": os.environ["PATH"],
        "ENVIRONMENT": "dev",
        "DESCRIPTION": description,
        "RUN": "https://github.example/runs/1",
        "GITHUB_OUTPUT": str(tmp_path / "output"),
    }
    script = step_script("plan.yml", "Plan")
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == ends
    assert (tmp_path / "given").read_text() == description
    called = (tmp_path / "called").read_text()
    assert "--fail-on danger --accept build/description.md --link https://github.example/runs/1" in called
    refused = tmp_path / "output"
    assert (refused.exists() and refused.read_text() == "refused=true\n") is (code == 3)
    (last,) = [
        step for _, step in steps("plan.yml") if step.get("name") == "Refuse a danger that nobody accepts"
    ]
    assert last["if"] == "steps.plan.outputs.refused == 'true'"
    assert "exit 3" in last["run"]


def test_one_label_is_the_worst_verdict_of_the_environments(tmp_path: Path) -> None:
    comments = Comments(tmp_path)
    plans = {name: plan_report.render(files.load("nothing"), name) for name in ("dev", "prod")}
    for name, label in (("code", "review"), ("object-lock", "danger"), ("nothing", "safe")):
        comments.run(plans | {"prod": plan_report.render(files.load(name), "prod")})
        assert comments.github["labels"] == [f"plan: {label}"]


def failed(folder: Path, environment: str, planned: str = "") -> str:
    """What the workflow writes for a run that failed, above the plan that a check refused."""
    file = folder / "build" / "plans" / f"{environment}.md"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    if planned:
        file.write_text(planned)
    script = step_script("plan.yml", "Put the failure in the plan's place")
    run_script(script, folder, ENVIRONMENT=environment, RUN="https://github.example/runs/1")
    return file.read_text()


def test_an_environment_without_a_plan_leaves_no_label_but_danger(tmp_path: Path) -> None:
    comments = Comments(tmp_path)
    safe, code, danger = (
        plan_report.render(files.load(name), "dev") for name in ("nothing", "code", "object-lock")
    )
    of_prod = plan_report.render(files.load("nothing"), "prod")
    for prod in (failed(tmp_path, "prod"), failed(tmp_path, "prod", of_prod)):
        for dev, labels in ((safe, []), (code, []), (danger, ["plan: danger"])):
            comments.run({"dev": safe, "prod": of_prod})
            assert comments.github["labels"] == ["plan: safe"]
            comments.run({"dev": dev, "prod": prod})
            assert comments.github["labels"] == labels


def test_an_environment_whose_artifact_is_missing_leaves_no_label(tmp_path: Path) -> None:
    comments = Comments(tmp_path)
    comments.run({"dev": plan_report.render(files.load("nothing"), "dev")})
    assert comments.github["labels"] == []


DRIFT = "<!-- huntaze-drift -->"


class Issues:
    """The repository's issues, and the workflow's own script that writes them."""

    def __init__(self, folder: Path, *before: dict[str, Any]) -> None:
        self.folder = folder
        self.github = GitHub(folder / "bin")
        self.github.write(issues=[*before])

    def run(self, **reports: str) -> list[tuple[str, str]]:
        """Run it after a night with these reports; return the state and the body of each issue."""
        for name in ("dev", "prod"):
            file = self.folder / "drift" / f"drift-{name}" / f"{name}.md"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.unlink(missing_ok=True)
            if name in reports:
                file.write_text(reports[name])
        run_script(
            step_script("drift.yml", "Keep each environment's one issue"),
            self.folder,
            ISSUES="repos/o/r/issues",
            ENVIRONMENTS='["dev", "prod"]',
            RUN="https://github.example/runs/1",
        )
        return [(each["state"], each["body"]) for each in self.github["issues"]]


def test_each_environment_keeps_one_issue_while_there_is_drift(tmp_path: Path) -> None:
    imitation = {
        "number": 1,
        "user": {"login": "someone"},
        "state": "open",
        "body": "<!-- huntaze-drift:dev -->",
    }
    issues = Issues(tmp_path, imitation)
    assert [state for state, _ in issues.run(dev="nothing", prod="nothing")] == ["open"]
    _, (state, text) = issues.run(dev=f"{DRIFT}\nfirst", prod="nothing")
    assert (state, text.splitlines()[0]) == ("open", "<!-- huntaze-drift:dev -->")
    assert text.endswith(f"{DRIFT}\nfirst")
    _, (_, text), (_, other) = issues.run(dev=f"{DRIFT}\nsecond", prod=f"{DRIFT}\nprod")
    assert (text.endswith("second"), other.endswith("prod")) == (True, True)
    # The comparison of prod failed: nobody knows whether its drift is gone.
    assert [state for state, _ in issues.run(dev="nothing")] == ["open", "closed", "open"]
    assert [(each["of"], each["user"]["login"]) for each in issues.github["comments"]] == [(2, BOT)]
    # A closed one stays closed.
    assert [state for state, _ in issues.run(dev=f"{DRIFT}\nagain")] == ["open", "closed", "open", "open"]
    assert issues.github["issues"][3]["title"] == "Drift in AWS: dev"


def test_an_issue_has_room_for_the_longest_report(tmp_path: Path) -> None:
    _, text = Issues(tmp_path).run(dev=f"{DRIFT}\n{'x' * (MAXIMUM - len(DRIFT) - 1)}")[0]
    assert len(text) + len("https://github.com//actions/runs/") + 150 < 65_536


def test_the_role_of_a_job_comes_from_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {
        "STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_1",
        "DEPLOYING_REPOSITORY": "huntaze/stripe",
        # As the runner exports it.
        "GITHUB_REPOSITORY": "someone/fork",
        "AWS_ACCOUNT_ID": "123456789012",
        "AWS_REGION": "cn-north-1",
    }
    for name, value in known.items():
        monkeypatch.setenv(name, value)
    assert github_role.main(["refresh", "dev"]) == 0
    assert capsys.readouterr().out == (
        "arn=arn:aws-cn:iam::123456789012:role/huntaze-github-refresh-dev\nregion=cn-north-1\n"
    )
    for name, value, said in (
        ("AWS_ACCOUNT_ID", "", "aws_account_id is empty: set it to the 12 digits"),
        ("GITHUB_ENVIRONMENTS", "prod", "GitHub does not deploy dev: set github_repository"),
    ):
        with monkeypatch.context() as changed:
            changed.setenv(name, value)
            assert github_role.main(["refresh", "dev"]) == 1
        assert (error := capsys.readouterr().err).count("\n") == 1
        assert said in error
