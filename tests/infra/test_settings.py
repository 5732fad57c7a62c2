"""Settings: the shipped files, the overrides, and the message for each mistake."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import infra
import main
from functions.pipeline import api
from functions.reconciliation import job
from functions.shared import retry
from infra import settings, settings_source
from infra.errors import IncompleteError, SettingsError
from infra.settings.function import LONGEST_CALL_SECONDS, RECONCILIATION_RESERVE_SECONDS, RECORD_SECONDS
from tests.infra.conftest import ENVIRONMENTS

# What the shipped files lack: the event source, and prod also who gets its alarms.
SOURCE = {"STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/ed_1"}
COMPLETING = SOURCE | {"ALERT_EMAILS": "oncall@huntaze.com"}


def load(folder: Path, text: str, environ: dict[str, str] | None = None) -> settings.Settings:
    (folder / "bootstrap.toml").write_text('state_bucket = "a-bucket"\n', encoding="utf-8")
    (folder / "common.toml").touch()
    (folder / "dev.toml").write_text(text, encoding="utf-8")
    return settings.load("dev", folder=folder, environ=environ or {})


COMPLETE = """
stripe_event_source_name = "aws.partner/stripe.com/ed_1"
huntaze_api_url = "https://api.example.com"
"""


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_shipped_file_lacks_nothing_but_the_event_source_and_prods_subscriber(environment: str) -> None:
    with pytest.raises(IncompleteError, match="stripe_event_source_name is not set"):
        settings.load(environment, environ={})
    if environment == "prod":
        with pytest.raises(IncompleteError, match="alert_emails is not set"):
            settings.load(environment, environ=SOURCE)
    complete = SOURCE if environment != "prod" else COMPLETING
    assert settings.load(environment, environ=complete).environment == environment


def test_where_events_are_live_alarms_without_addresses_are_deliberate(tmp_path: Path) -> None:
    live = f"{COMPLETE}livemode = true\n"
    for text in (live, f"{live}alert_emails = []\n"):
        with pytest.raises(IncompleteError) as raised:
            load(tmp_path, text)
        message = str(raised.value)
        assert "\n" not in message
        assert "alert_emails is not set" in message
        assert 'alert_emails = ["none"]' in message
    on_purpose = load(tmp_path, f'{live}alert_emails = ["none"]\n')
    assert on_purpose.alert_addresses == ()
    loaded = load(tmp_path, f'{live}alert_emails = ["a@b.com"]\n')
    assert loaded.alert_addresses == ("a@b.com",)
    assert load(tmp_path, COMPLETE).alert_addresses == ()


def test_none_and_addresses_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r'alert_emails = .* contains "none" and addresses'):
        load(tmp_path, f'{COMPLETE}alert_emails = ["none", "a@b.com"]\n')


def test_where_events_are_live_a_missing_heartbeat_alarm_is_deliberate(tmp_path: Path) -> None:
    live = f'{COMPLETE}livemode = true\nalert_emails = ["none"]\n'
    assert load(tmp_path, live).heartbeat_minutes == 1440
    assert load(tmp_path, f"{live}heartbeat_minutes = 0\n").heartbeat_minutes == 0
    assert settings.load("prod", environ=COMPLETING).heartbeat_minutes == 1440
    for environment in ("dev", "staging"):
        assert settings.load(environment, environ=SOURCE).heartbeat_minutes == 0


def test_missing_event_source_says_where_stripe_shows_it() -> None:
    with pytest.raises(IncompleteError) as raised:
        settings.load("dev", environ={})
    message = str(raised.value)
    assert "\n" not in message
    for wanted in ("environments/dev.toml", "Workbench > Event destinations", "STRIPE_EVENT_SOURCE_NAME"):
        assert wanted in message


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_only_prod_has_live_events_and_protects_its_data(environment: str) -> None:
    loaded = settings.load(environment, environ=COMPLETING)
    is_prod = environment == "prod"
    assert loaded.livemode is is_prod
    assert loaded.deletion_protection is is_prod
    assert loaded.archive_retention_days == (90 if is_prod else 30)
    assert loaded.create_kms_key is False
    host = "api.huntaze.com" if is_prod else f"api.{environment}.huntaze.com"
    assert loaded.huntaze_api_url == f"https://{host}"


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_shipped_file_explains_the_required_setting(environment: str) -> None:
    text = (settings.FOLDER / f"{environment}.toml").read_text(encoding="utf-8")
    assert "# stripe_event_source_name =" in text
    assert "stripe_event_source_name" not in tomllib.loads(text)


def test_every_setting_is_described_where_it_is_declared() -> None:
    declared = list(settings_source.declarations(settings.Settings))
    assert len(declared) > 30
    for each in declared:
        assert each.field.description, each.name


def test_effect_of_a_raised_retention_on_replays_is_documented() -> None:
    described = settings.Settings.model_fields["archive_retention_days"].description or ""
    files = [settings.FOLDER / "common.toml", settings.FOLDER.parent / "docs" / "replay-and-reconcile.md"]
    for text in (described, *(file.read_text(encoding="utf-8") for file in files)):
        words = " ".join(text.replace("#", "").split())
        assert re.search(
            r"raised.*older[^.]* applies them again|older[^.]* applies them again.*raised", words
        )


@pytest.mark.parametrize(
    ("variable", "text", "setting", "value"),
    [
        ("AWS_REGION", "us-east-1", "aws_region", "us-east-1"),
        ("ARCHIVE_RETENTION_DAYS", "45", "archive_retention_days", 45),
        ("LIVEMODE", "true", "livemode", True),
        ("CREATE_KMS_KEY", "0", "create_kms_key", False),
        ("ALERT_EMAILS", "a@b.com, c@d.com", "alert_emails", ("a@b.com", "c@d.com")),
        ("HUNTAZE_API_URL", "http://127.0.0.1:8080/", "huntaze_api_url", "http://127.0.0.1:8080"),
        ("LAMBDA_ARCHITECTURE", "x86_64", "lambda_architecture", "x86_64"),
        ("STATE_BUCKET", "another-bucket", "state_bucket", "another-bucket"),
    ],
)
def test_environment_variable_overrides_the_file(
    variable: str, text: str, setting: str, value: object
) -> None:
    assert getattr(settings.load("dev", environ=COMPLETING | {variable: text}), setting) == value


def test_setting_of_a_table_is_overridden_with_the_tables_name() -> None:
    loaded = settings.load("dev", environ=SOURCE | {"BILLING_RESERVED_CONCURRENCY": "7"})
    assert loaded.billing.reserved_concurrency == 7
    assert loaded.payments.reserved_concurrency == -1


# Memory in MiB and time-out in seconds where a file says nothing about them.
OWN_DEFAULTS = {
    "payments": (256, 30),
    "billing": (256, 30),
    "audit": (512, 60),
    "reconciliation": (512, 300),
    "compaction": (512, 900),
}


@pytest.mark.parametrize(("function", "expected"), OWN_DEFAULTS.items())
def test_a_table_that_is_not_whole_keeps_the_functions_own_defaults(
    tmp_path: Path, function: str, expected: tuple[int, int]
) -> None:
    for text in (COMPLETE, f"{COMPLETE}[{function}]\nreserved_concurrency = 5\n"):
        loaded = getattr(load(tmp_path, text), function)
        assert (loaded.memory_mb, loaded.timeout_seconds) == expected
    assert loaded.reserved_concurrency == 5


@pytest.mark.parametrize(("function", "expected"), OWN_DEFAULTS.items())
def test_help_prints_the_functions_own_defaults(
    capsys: pytest.CaptureFixture[str], function: str, expected: tuple[int, int]
) -> None:
    with pytest.raises(SystemExit):
        main.main(["--help"])
    printed = capsys.readouterr().out
    for setting, default in zip(("memory_mb", "timeout_seconds"), expected, strict=True):
        assert f"{function}.{setting} ({function.upper()}_{setting.upper()}; default {default})" in printed


def test_empty_environment_variable_counts_as_unset() -> None:
    loaded = settings.load("dev", environ=SOURCE | {"AWS_REGION": "", "ALERT_EMAILS": " "})
    assert loaded.aws_region == "eu-west-1"


def test_environments_file_wins_over_the_bootstraps(tmp_path: Path) -> None:
    assert load(tmp_path, COMPLETE).state_bucket == "a-bucket"
    assert load(tmp_path, COMPLETE + 'state_bucket = "own-bucket"\n').state_bucket == "own-bucket"


def test_variable_wins_over_own_file_over_common_file_over_default(tmp_path: Path) -> None:
    def minutes(own: str, environ: dict[str, str] | None = None) -> int:
        load(tmp_path, COMPLETE + own)
        (tmp_path / "common.toml").write_text("reconcile_minutes = 20\n", encoding="utf-8")
        return settings.load("dev", folder=tmp_path, environ=environ or {}).reconcile_minutes

    assert load(tmp_path, COMPLETE).reconcile_minutes == 60
    assert minutes("") == 20
    assert minutes("reconcile_minutes = 30\n") == 30
    assert minutes("reconcile_minutes = 30\n", {"RECONCILE_MINUTES": "40"}) == 40


def test_mistake_names_the_file_in_which_the_value_stands(tmp_path: Path) -> None:
    load(tmp_path, COMPLETE)
    common = tmp_path / "common.toml"
    for wrong in ("log_retention_days = 31\n", "colour = 1\n", "= 1\n"):
        common.write_text(wrong, encoding="utf-8")
        with pytest.raises(SettingsError, match=rf"^{tmp_path.name}/common\.toml: "):
            settings.load("dev", folder=tmp_path, environ={})
    # A required setting that the common file leaves empty is missing from the environment's own.
    common.write_text("livemode = true\nalert_emails = []\n", encoding="utf-8")
    with pytest.raises(IncompleteError, match=rf"^{tmp_path.name}/dev\.toml: alert_emails is not set"):
        settings.load("dev", folder=tmp_path, environ={})


def test_file_of_an_environment_holds_what_differs_and_no_more() -> None:
    common = tomllib.loads((settings.FOLDER / "common.toml").read_text(encoding="utf-8"))
    for environment in ENVIRONMENTS:
        text = (settings.FOLDER / f"{environment}.toml").read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 20
        for name, value in tomllib.loads(text).items():
            if isinstance(value, dict):
                assert not value.items() & common[name].items()
            else:
                assert common.get(name) != value


def test_settings_are_frozen() -> None:
    loaded = settings.load("dev", environ=SOURCE)
    with pytest.raises(ValueError, match="frozen"):
        loaded.aws_region = "us-east-1"  # type: ignore[misc] # the assignment is what must fail


@pytest.mark.parametrize(
    ("line", "environ", "expected"),
    [
        (
            "archve_retention_days = 3",
            {},
            ('unknown setting "archve_retention_days"', '"archive_retention_days"'),
        ),
        ("[payments]\nmemory = 512", {}, ('unknown setting "payments.memory"', '"payments.memory_mb"')),
        ("colour = 1", {}, ('unknown setting "colour"', "docs/settings.md")),
        ('archive_retention_days = "30"', {}, ("archive_retention_days = '30'", "must be an integer")),
        ("archive_retention_days = 1.5", {}, ("archive_retention_days = 1.5", "must be an integer")),
        ("archive_retention_days = 0", {}, ("archive_retention_days = 0", "greater than or equal to 1")),
        ("livemode = 1", {}, ("livemode = 1 must be true or false", "use true or false")),
        ("aws_region = 3", {}, ("aws_region = 3 must be a string", "eu-west-1")),
        ('aws_region = "Dublin"', {}, ("aws_region = 'Dublin' has the wrong format", "eu-west-1")),
        ('aws_account_id = "42"', {}, ("aws_account_id = '42' has the wrong format", "123456789012")),
        ('alert_emails = "a@b.com"', {}, ("alert_emails = 'a@b.com' must be a list",)),
        ("alert_emails = [1]", {}, ("alert_emails = 1 must be a string",)),
        ('lambda_architecture = "mips"', {}, ("lambda_architecture = 'mips'", "arm64, x86_64")),
        ("log_retention_days = 31", {}, ("log_retention_days = 31 must be a CloudWatch retention: 1, 3, 5",)),
        ("secret_recovery_days = 3", {}, ("secret_recovery_days = 3 must be 0 or between 7 and 30",)),
        (
            "ledger_glacier_days = 60\nledger_infrequent_access_days = 45",
            {},
            ("ledger_glacier_days = 60 must be at least 30 days after",),
        ),
        (
            "ledger_expiration_days = 179",
            {},
            ("= 179 must be at least 90 days after",),
        ),
        (
            "ledger_glacier_days = 100\nledger_expiration_days = 189",
            {},
            ("ledger_expiration_days = 189 must be at least 90 days after ledger_glacier_days",),
        ),
        (
            "archive_retention_days = 400\nledger_expiration_days = 365",
            {},
            ("ledger_expiration_days = 365 must be at least archive_retention_days",),
        ),
        ("auto_redrive_minutes = 11", {}, ("auto_redrive_minutes = 11",)),
        ("[redrive]\ntimeout_seconds = 240", {}, ("timeout_seconds",)),
        (
            "[payments]\ntimeout_seconds = 61",
            {},
            ("payments.timeout_seconds = 61 must be less than or equal to 60", "first retry", "example 30"),
        ),
        (
            "",
            {"BILLING_TIMEOUT_SECONDS": "180"},
            ("BILLING_TIMEOUT_SECONDS: billing.timeout_seconds = 180 must be less than or equal to 60",),
        ),
        ('audit_subnet_ids = ["subnet-1"]', {}, ("audit_security_group_ids", "set both or neither")),
        ('[audit]\nlog_level = "LOUD"', {}, ("audit.log_level = 'LOUD'", "DEBUG, INFO, WARNING, ERROR")),
        ("", {"LIVEMODE": "maybe"}, ("environment variable LIVEMODE: livemode = 'maybe'", "true or false")),
        (
            "",
            {"AUDIT_MEMORY_MB": "lots"},
            ("environment variable AUDIT_MEMORY_MB", "'lots' must be an integer"),
        ),
        ("", {"HUNTAZE_API_URL": "http://api.huntaze.com"}, ("unencrypted: use https",)),
        ("", {"HUNTAZE_API_URL": "https://key@api.huntaze.com"}, ("contains credentials",)),
        ("", {"HUNTAZE_API_URL": "api.huntaze.com"}, ("must be an http or https URL",)),
        ("", {"STRIPE_EVENT_SOURCE_NAME": "evt_1"}, ("'evt_1' has the wrong format", "Workbench")),
        ("", {"STRIPE_EVENT_SOURCE_NAME": "aws.partner/stripe.com/acct_1"}, ("wrong format", "ed_")),
        ("livemode = treu", {}, ("invalid TOML", "line")),
        (f"log_retention_days = {'9' * 5000}", {}, ("a value is too long",)),
        (f"alert_emails = {'[' * 5000}", {}, ("a value is too long",)),
        ("", {"HUNTAZE_API_URL": "https://["}, ("huntaze_api_url = 'https://[' is not a URL",)),
        (
            "",
            {"HUNTAZE_API_URL": "https://x:99999"},
            ("'https://x:99999' must have a port between",),
        ),
        ("", {"HUNTAZE_API_URL": "https://x:0"}, ("'https://x:0' must have a port",)),
        ("", {"HUNTAZE_API_URL": "https://x:port"}, ("'https://x:port' must have a port",)),
        ("", {"HUNTAZE_API_URL": "https://a b.com"}, ("contains a space",)),
        ("", {"HUNTAZE_API_URL": "https://a.com?"}, ("URL without query",)),
        ("", {"HUNTAZE_API_URL": "https://a.com/#"}, ("URL without query",)),
        ("", {"HUNTAZE_API_URL": "https://\xe4.com"}, ("outside ASCII",)),
        ("", {"HUNTAZE_API_URL": "https://a.com/\x7f"}, ("cannot be printed",)),
        ("", {"HUNTAZE_API_URL": "https://a.${var.X}.com"}, ("a Terraform template",)),
        ("", {"AUDIT_SUBNET_IDS": "subnet-1,${path.module}"}, ("a Terraform template",)),
        ("", {"STATE_BUCKET": "a..b"}, ("is not a valid S3 bucket name",)),
        ("", {"STATE_BUCKET": "192.168.0.1"}, ("is not a valid S3 bucket name",)),
        ("", {"AWS_ACCOUNT_ID": "\u0661" * 12}, ("aws_account_id", "has the wrong format")),
        (
            "",
            {"SECRET_VERSION": "99999999999999999999"},
            ("secret_version", "must be between -2147483647 and"),
        ),
        (
            "",
            {"PAYMENTS_RESERVED_CONCURRENCY": "9007199254740993"},
            ("and 2147483647",),
        ),
        *(
            (
                "",
                {"AUDIT_RESERVED_CONCURRENCY": few},
                (
                    "environment variable AUDIT_RESERVED_CONCURRENCY",
                    f"audit.reserved_concurrency = {few} must be -1 or at least 3",
                    "use for example 10 (Concurrent executions, 3 or more",
                ),
            )
            for few in ("0", "1", "2")
        ),
        (
            "[audit]\nreserved_concurrency = 2",
            {},
            ("audit.reserved_concurrency = 2 must be -1 or at least 3",),
        ),
        ("[audit]\nreserved_concurrency = -2", {}, ("must be greater than or equal to -1",)),
        (
            "stripe_reads_per_second = 26",
            {},
            ("stripe_reads_per_second = 26 must be at most 25", "livemode is false", "example 20"),
        ),
        (
            "livemode = true",
            {"STRIPE_READS_PER_SECOND": "91"},
            ("stripe_reads_per_second = 91 must be less than or equal to 90",),
        ),
        (
            "[billing]\ntimeout_seconds = 25",
            {},
            (
                "billing.timeout_seconds = 25 must be greater than or equal to 26",
                "second API call",
                "example 30",
            ),
        ),
        (
            "max_event_age_seconds = 599",
            {},
            ("max_event_age_seconds = 599 must be greater than or equal to 600", "retries", "21600"),
        ),
        (
            "",
            {"RECONCILIATION_TIMEOUT_SECONDS": "119"},
            (
                "reconciliation.timeout_seconds = 119 must be greater than or equal to 120",
                "last minute",
                "example 300",
            ),
        ),
        (
            'former_kms_key_arns = ["alias/huntaze-stripe-events-prod"]',
            {},
            ("former_kms_key_arns = 'alias/huntaze-stripe-events-prod' has the wrong format", "arn:aws:kms:"),
        ),
        (
            "livemode = true\nbus_logs = true",
            {},
            (
                "bus_logs = True would log customers' data, because livemode is true",
                "use true or false",
            ),
        ),
        (
            "deletion_protection = true\nledger_object_lock_days = 3650",
            {},
            ("ledger_object_lock_days = 3650 must be less than or equal to 2557", "mistyped"),
        ),
        (
            "ledger_object_lock_days = 365",
            {},
            ("ledger_object_lock_days = 365 needs deletion_protection = true", "otherwise a destroy"),
        ),
        *(
            (
                "",
                {"RECONCILE_FROM": wrong},
                (f"reconcile_from = '{wrong}' must be a time", "2026-11-23T08:00Z"),
            )
            for wrong in ("yesterday", "20261123", "2026-13-01", "48h")
        ),
        *(
            (
                "",
                {"RECONCILE_ACCOUNTS": wrong},
                (f"""must be ["all"], or ids like acct_1Nv0FGQ9RKHgCVdK, not '{refused}'""",),
            )
            for wrong, refused in (("acct_1,all", "all"), ("cus_1", "cus_1"), ("acct_1 2", "acct_1 2"))
        ),
        ("[a]\n", {}, ('unknown setting "a"',)),
        (
            "",
            {"ALERT_EMAILS": "not-an-address"},
            ("'not-an-address' has the wrong format", "oncall@huntaze.com"),
        ),
        ("", {"ALERT_EMAILS": "a@b.com,me@host"}, ("alert_emails = 'me@host' has the wrong format",)),
        *(
            (
                "",
                {"LAMBDA_RUNTIME": refused},
                (f"'{refused}' is not allowed", "use one of python3.11, python3.12, python3.13"),
            )
            for refused in ("python3.2", "python3.10", "python3.14", "python3.99")
        ),
        ("[audit]\nlivemode = true", {}, ('"livemode" is in the table [audit]', "above the first table")),
    ],
)
def test_message_of_a_mistake_is_one_line_that_names_it(
    tmp_path: Path, line: str, environ: dict[str, str], expected: tuple[str, ...]
) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, f"{COMPLETE}{line}\n", environ)
    message = str(raised.value)
    assert "\n" not in message
    if not environ:
        assert message.startswith(f"{tmp_path.name}/dev.toml: ")
    for part in expected:
        assert part in message


@pytest.mark.parametrize(
    "url",
    [
        "https://name:pa55word@api.huntaze.com",
        "https://pa55word@api.huntaze.com",
        "http://name:pa55word@api.huntaze.com?x=1",
        "ftp://name:pa55word@api.huntaze.com",
        "https://name:pa55word@api.huntaze.com:99999",
        "https://name:pa55word@[",
        "name:pa55word@api.huntaze.com",
        "https://api.huntaze.com?key=pa55word",
    ],
)
def test_credentials_in_the_apis_url_are_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    for text, environ in (
        (COMPLETE, {"HUNTAZE_API_URL": url}),
        (COMPLETE.replace("https://api.example.com", url), {}),
    ):
        with pytest.raises(SettingsError, match=r"huntaze_api_url = \*\*\* ") as raised:
            load(tmp_path, text, environ)
        assert "pa55word" not in str(raised.value)


def test_credentials_in_the_apis_url_are_not_repeated_where_the_type_is_wrong(tmp_path: Path) -> None:
    wrong = COMPLETE.replace('"https://api.example.com"', '["https://name:pa55word@x"]')
    with pytest.raises(SettingsError, match=r"huntaze_api_url = \*\*\* must be a string") as raised:
        load(tmp_path, wrong)
    assert "pa55word" not in str(raised.value)


@pytest.mark.parametrize("runtime", ["python3.11", "python3.12", "python3.13"])
def test_runtimes_that_the_handlers_run_on_are_allowed(runtime: str) -> None:
    assert settings.load("dev", environ=SOURCE | {"LAMBDA_RUNTIME": runtime}).lambda_runtime == runtime


def test_message_of_a_byte_that_is_not_text_names_its_line(tmp_path: Path) -> None:
    load(tmp_path, COMPLETE)
    (tmp_path / "dev.toml").write_bytes(b'aws_region = "eu-west-1"\n# caf\xe9\n')
    with pytest.raises(SettingsError, match=r"dev\.toml: line 2: the byte 0xe9 is not UTF-8"):
        settings.load("dev", folder=tmp_path, environ={})


def test_wrong_setting_is_reported_before_a_missing_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="livemode") as raised:
        load(tmp_path, "livemode = 3\n")
    assert not isinstance(raised.value, IncompleteError)


def test_missing_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").touch()
    with pytest.raises(SettingsError, match=r"common\.toml: the file does not exist"):
        settings.load("dev", folder=tmp_path, environ={})


def test_unknown_environment_is_reported() -> None:
    known = r'no environment "test"; use one of dev, [a-z, ]*prod, [a-z, ]*or add environments/test\.toml'
    with pytest.raises(SettingsError, match=known):
        settings.load("test", environ={})


def test_timeout_of_a_handler_ends_before_lambdas_first_retry(
    tmp_path: Path,
) -> None:
    loaded = load(tmp_path, f"{COMPLETE}[payments]\ntimeout_seconds = 60\n[audit]\ntimeout_seconds = 900\n")
    assert (loaded.payments.timeout_seconds, loaded.audit.timeout_seconds) == (60, 900)


LEAST_AND_MOST = """
livemode = {livemode}
alert_emails = ["none"]
stripe_reads_per_second = {reads}
max_event_age_seconds = 600
[payments]
timeout_seconds = 26
[reconciliation]
timeout_seconds = 120
"""


@pytest.mark.parametrize(("livemode", "reads"), [("false", 25), ("true", 90)])
def test_values_at_their_limits_are_allowed(tmp_path: Path, livemode: str, reads: int) -> None:
    loaded = load(tmp_path, COMPLETE + LEAST_AND_MOST.format(livemode=livemode, reads=reads))
    assert loaded.stripe_reads_per_second == reads
    assert (loaded.payments.timeout_seconds, loaded.reconciliation.timeout_seconds) == (26, 120)


def test_timeouts_are_limited_by_what_the_functions_do() -> None:
    assert int(api.ATTEMPT_SECONDS) == LONGEST_CALL_SECONDS
    assert RECORD_SECONDS == retry.RECORD_SECONDS
    assert RECONCILIATION_RESERVE_SECONDS * 1000 == job.SAFETY_MILLISECONDS


def test_handlers_shortest_time_holds_a_second_call_after_a_quick_refusal(tmp_path: Path) -> None:
    loaded = load(tmp_path, f"{COMPLETE}[payments]\ntimeout_seconds = 26\n")
    before_the_second = loaded.payments.timeout_seconds - api.ATTEMPT_SECONDS - retry.RECORD_SECONDS
    assert before_the_second > retry.longest_wait(1)


def test_events_live_for_both_of_lambdas_retries(tmp_path: Path) -> None:
    loaded = load(tmp_path, f"{COMPLETE}max_event_age_seconds = 600\n[payments]\ntimeout_seconds = 60\n")
    second_retry = loaded.payments.timeout_seconds + 60 + loaded.payments.timeout_seconds + 120
    assert loaded.max_event_age_seconds > second_retry


@pytest.mark.parametrize("enough", [-1, 3, 10])
def test_audit_allows_a_concurrency_of_its_message_groups(tmp_path: Path, enough: int) -> None:
    loaded = load(tmp_path, f"{COMPLETE}[audit]\nreserved_concurrency = {enough}\n")
    assert loaded.audit.reserved_concurrency == enough


def test_fallback_stands_for_a_setting_that_is_not_set_and_for_no_other(tmp_path: Path) -> None:
    load(tmp_path, COMPLETE)
    fallbacks = {"stripe_event_source_name": "aws.partner/stripe.com/ed_unnamed"}
    for text, name in (
        (COMPLETE, "ed_1"),
        (COMPLETE.replace("stripe_event", "# stripe_event"), "ed_unnamed"),
    ):
        (tmp_path / "dev.toml").write_text(text, encoding="utf-8")
        loaded = settings.load("dev", folder=tmp_path, environ={}, fallbacks=fallbacks)
        assert loaded.stripe_event_source_name == f"aws.partner/stripe.com/{name}"


def test_infra_reads_the_process_environment_where_it_says_so_and_nowhere_else() -> None:
    package = Path(infra.__file__).parent
    reading = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv")
    }
    assert reading == {"fast_provider.py", "settings/loading.py"}
    documented = " ".join((infra.__doc__ or "").split())
    assert "Only `settings` reads the process environment, and `fast_provider`" in documented


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", None),
        ("2026-11-23", 1_795_392_000),
        ("2026-11-23T08:00Z", 1_795_420_800),
        ("2026-11-23T09:00:00+01:00", 1_795_420_800),
    ],
)
def test_first_comparison_begins_at_the_time_that_is_set(
    tmp_path: Path, text: str, seconds: int | None
) -> None:
    assert load(tmp_path, f'{COMPLETE}reconcile_from = "{text}"\n').reconcile_from_seconds == seconds


@pytest.mark.parametrize(("redrive", "seconds"), [("false", 3600), ("true", 3600 + 2 * 7 * 60)])
def test_an_event_is_unhandled_after_the_time_of_lambda_and_the_redrive(
    tmp_path: Path, redrive: str, seconds: int
) -> None:
    text = f"max_event_age_seconds = 3600\nauto_redrive = {redrive}\nauto_redrive_minutes = 7\n"
    assert load(tmp_path, COMPLETE + text).handled_within_seconds == seconds
