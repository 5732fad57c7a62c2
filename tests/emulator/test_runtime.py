"""Functions run as in Lambda: their errors in its words, its context, its logs, its life cycle."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.config import Config

from ops.bundles import host_target
from ops.emulator.execution import ExecutionEnvironment
from ops.emulator.process_group import Command
from ops.emulator.reaper import Reaper
from ops.emulator.runtime_api import Invocation
from ops.emulator.runtime_packages import CLIENT_IN_PYTHON, installed, interpreter
from ops.local.clients import CONFIG, Aws
from tests.emulator.process import Emulator, wait_until
from tests.emulator.resources import RUNTIME, function, invoke

PATIENCE_SECONDS = 20
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
CREATES_A_TYPE = "class T: pass\ndef handler(event, context):\n    return T()\n"
RETURNS_ITS_CONTEXT = """
import os, sys
def handler(event, context):
    client = context.client_context
    return {
        "python": "%d.%d" % sys.version_info[:2],
        "left": context.get_remaining_time_in_millis(),
        "arn": context.invoked_function_arn,
        "memory": context.memory_limit_in_mb,
        "identity": context.identity.cognito_identity_id,
        "client": client and [client.custom, client.env, client.client.app_title],
        "trace": os.environ.get("_X_AMZN_TRACE_ID"),
        "handler": os.environ["_HANDLER"],
        "log": [context.log_group_name, context.log_stream_name],
    }
"""
LOGS = """
import json, logging
def handler(event, context):
    logging.getLogger().warning("refused", extra={"order": 7})
    logging.getLogger().debug("hidden")
    print(json.dumps({"level": "DEBUG", "message": "printed and hidden"}))
    print("a line of text")
    if event.get("fail"):
        raise ValueError("asked for")
"""
COUNTS = """
import os, threading, time
count = 0
def forever():
    global count
    while True:
        count += 1
        time.sleep(0.001)
threading.Thread(target=forever, daemon=True).start()
def handler(event, context):
    time.sleep(0.05)
    return {"count": count, "pid": os.getpid()}
"""
# In the first Init phase it is slower than Lambda's limit of 10 seconds, in the second it is not.
SLOW_ONCE = """
import pathlib, time
seen = pathlib.Path({folder!r}, "seen")
if not seen.exists():
    seen.touch()
    time.sleep(60)
def handler(event, context):
    return "served"
"""
ASKS_THE_RUNTIME_API = """
import os, urllib.error, urllib.request
def handler(event, context):
    url = "http://" + os.environ["AWS_LAMBDA_RUNTIME_API"] + "/2018-06-01/runtime" + event["path"]
    body = b"{}" if event["method"] == "POST" else None
    try:
        urllib.request.urlopen(urllib.request.Request(url, body, event["headers"], method=event["method"]))
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
"""
# Another client of the Runtime API, which sends a request that never ends: a process, because the runtime
# client holds Python's lock while it waits.
DRIPS = """
import subprocess, sys, time
CLIENT = '''
import os, socket, time
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
client = socket.create_connection((host, int(port)))
client.sendall(b"GET /")
print(flush=True)
while True:
    client.sendall(b"x")
    time.sleep(0.1)
'''
def handler(event, context):
    subprocess.Popen([sys.executable, "-c", CLIENT], stdout=subprocess.PIPE).stdout.readline()
    time.sleep(0.2)
    return "served"
"""
WAITS = """
import os, time
def handler(event, context):
    while event and not os.path.exists(event):
        time.sleep(0.01)
    return os.environ["AWS_LAMBDA_RUNTIME_API"]
"""


@pytest.fixture
def aws(emulator: Emulator) -> Aws:
    return emulator.aws


@dataclass(frozen=True)
class Answer:
    """What Invoke returned."""

    error: str | None
    body: bytes
    log: str

    @property
    def envelope(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.body)
        return value


def answer(aws: Aws, arn: str, event: Any = None) -> Answer:
    given = aws.client("lambda").invoke(FunctionName=arn, Payload=json.dumps(event), LogType="Tail")
    log = base64.b64decode(given["LogResult"]).decode()
    return Answer(given.get("FunctionError"), given["Payload"].read(), log)


def log_lines(aws: Aws, arn: str) -> list[str]:
    group = "/aws/lambda/" + arn.rpartition(":")[2]
    pages = aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return [event["message"] for page in pages for event in page["events"]]


# Sources: Lambda developer guide, "Using the Lambda runtime API" (an error has errorMessage, errorType and
# stackTrace), "Python Lambda function errors", "Troubleshoot invocation issues" (time-out, exit), and AWS's
# Runtime Interface Emulator, which writes the envelopes of a time-out and of an exit.
ENVELOPES = {
    "a failure": (
        "def handler(event, context):\n    raise ValueError('refused')",
        {"errorType": "ValueError", "errorMessage": "refused", "requestId": UUID},
    ),
    "a result that is not JSON": (
        CREATES_A_TYPE,
        {
            "errorType": r"Runtime\.MarshalError",
            "errorMessage": "Unable to marshal response: Object of type T is not JSON serializable",
            "requestId": UUID,
        },
    ),
    "a missing module": (
        "import not_there",
        {
            "errorType": r"Runtime\.ImportModuleError",
            "errorMessage": "Unable to import module 'code_of_test': No module named 'not_there'",
            "requestId": "",
        },
    ),
    "a missing handler": (
        "",
        {
            "errorType": r"Runtime\.HandlerNotFound",
            "errorMessage": "Handler 'handler' missing on module 'code_of_test'",
            "requestId": "",
        },
    ),
    "a syntax error": (
        "def handler(:",
        {
            "errorType": r"Runtime\.UserCodeSyntaxError",
            "errorMessage": r"Syntax error in module 'code_of_test': .+ \(code_of_test.py, line 1\)",
            "requestId": "",
        },
    ),
    "a failing module": (
        "raise LookupError('no setting')",
        {"errorType": "LookupError", "errorMessage": "no setting", "requestId": ""},
    ),
    "a time-out": (
        "import time\ndef handler(event, context):\n    time.sleep(60)",
        {
            "errorType": r"Sandbox\.Timedout",
            "errorMessage": rf"RequestId: {UUID} Error: Task timed out after 1\.00 seconds",
        },
    ),
    "an exit with a status": (
        "import sys\ndef handler(event, context):\n    sys.exit(3)",
        {
            "errorType": r"Runtime\.ExitError",
            "errorMessage": rf"RequestId: {UUID} Error: Runtime exited with error: exit status 3",
        },
    ),
    "an exit without one": (
        "import os\ndef handler(event, context):\n    os._exit(0)",
        {
            "errorType": r"Runtime\.ExitError",
            "errorMessage": rf"RequestId: {UUID} Error: Runtime exited without providing a reason",
        },
    ),
    "a crash": (
        "import os\ndef handler(event, context):\n    os.abort()",
        {
            "errorType": r"Runtime\.ExitError",
            "errorMessage": rf"RequestId: {UUID} Error: Runtime exited with error: signal: aborted",
        },
    ),
    "an exit while it loads": (
        "import os\nos._exit(4)",
        {
            "errorType": r"Runtime\.ExitError",
            "errorMessage": rf"RequestId: {UUID} Error: Runtime exited with error: exit status 4",
        },
    ),
    "too much memory": (
        "def handler(event, context):\n    return len(b'x' * (200 << 20))",
        {
            "errorType": r"Runtime\.OutOfMemory",
            "errorMessage": rf"RequestId: {UUID} Error: Runtime exited with error: signal: killed",
        },
    ),
}


@pytest.mark.parametrize("case", ENVELOPES)
def test_an_error_has_the_envelope_that_aws_documents(aws: Aws, case: str) -> None:
    code, expected = ENVELOPES[case]
    got = answer(aws, function(aws, code, Timeout=1))
    assert got.error == "Unhandled"
    assert set(got.envelope) - {"stackTrace"} == set(expected)
    for name, pattern in expected.items():
        assert re.fullmatch(pattern, got.envelope[name]), got.envelope
    # Only the runtime, which reports the other errors itself, has a stack trace.
    assert ("stackTrace" in got.envelope) == ("requestId" in expected)


def test_a_failure_shows_the_functions_own_frames(aws: Aws) -> None:
    got = answer(aws, function(aws, ENVELOPES["a failure"][0]))
    (frame,) = got.envelope["stackTrace"]
    assert frame.endswith("code_of_test.py\", line 2, in handler\n    raise ValueError('refused')\n")


def test_a_handler_without_a_module_is_refused(aws: Aws) -> None:
    arn = function(aws, "")
    aws.client("lambda").update_function_configuration(FunctionName=arn, Handler="handler")
    assert answer(aws, arn).envelope["errorType"] == "Runtime.MalformedHandlerName"


def test_a_function_that_was_killed_or_ended_gets_a_new_environment(aws: Aws) -> None:
    code = """
import os, time
served = 0
def handler(event, context):
    global served
    served += 1
    if event == "sleep":
        time.sleep(60)
    if event == "exit":
        os._exit(1)
    if event == "fail":
        raise ValueError
    return [os.getpid(), served]
"""
    arn = function(aws, code, Timeout=2)

    def served(event: str) -> Any:
        return invoke(aws, arn, event)

    first, _ = served("")
    assert served("fail")["errorType"] == "ValueError"
    assert served("") == [first, 3]
    for event in ("sleep", "exit"):
        assert "errorType" in served(event)
        assert not psutil.pid_exists(first)
        first, count = served("")
        assert count == 1


def test_bytes_are_returned_as_they_are(aws: Aws) -> None:
    returns_bytes = "def handler(event, context):\n    return b'\\x00plain'"
    assert answer(aws, function(aws, returns_bytes)).body == b"\x00plain"


def test_the_context_is_lambdas(aws: Aws) -> None:
    arn = function(aws, RETURNS_ITS_CONTEXT, Timeout=9, MemorySize=192, TracingConfig={"Mode": "Active"})
    client = {"custom": {"a": 1}, "env": {"locale": "fr"}, "client": {"app_title": "tests"}}
    text = base64.b64encode(json.dumps(client).encode()).decode()
    payload = aws.client("lambda").invoke(FunctionName=arn, Payload=b"{}", ClientContext=text)["Payload"]
    got = json.loads(payload.read())
    assert got["python"] == host_target().python
    assert 0 < got["left"] <= 9000
    assert (got["arn"], got["memory"], got["identity"]) == (arn, "192", None)
    assert got["client"] == [{"a": 1}, {"locale": "fr"}, "tests"]
    assert re.fullmatch("Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=1", got["trace"])
    assert got["handler"] == "code_of_test.handler"
    group, stream = got["log"]
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    streams = aws.client("logs").describe_log_streams(logGroupName=group)["logStreams"]
    assert [one["logStreamName"] for one in streams] == [stream]
    again = invoke(aws, arn, {})
    assert again["client"] is None
    assert again["trace"] != got["trace"]


def test_a_log_of_text_has_lambdas_lines(aws: Aws) -> None:
    arn = function(aws, LOGS)
    invoke(aws, arn, {"fail": True})
    invoke(aws, arn, {})
    cold, warm = _by_invocation(log_lines(aws, arn))
    number = r"[\d.]+ ms"
    report = rf"REPORT RequestId: {UUID}\tDuration: {number}\tBilled Duration: \d+ ms\tMemory Size: 128 MB\t"
    report += r"Max Memory Used: \d+ MB"
    warning = rf"\[WARNING\]\t[0-9T:.-]+Z\t{UUID}\trefused"
    hidden = '{"level": "DEBUG", "message": "printed and hidden"}'
    _match(
        warm,
        [
            rf"START RequestId: {UUID} Version: \$LATEST",
            warning,
            re.escape(hidden),
            "a line of text",
            rf"END RequestId: {UUID}",
            report,
        ],
    )
    _match(
        cold,
        [
            rf"INIT_START Runtime Version: python:{host_target().python}",
            rf"START RequestId: {UUID} Version: \$LATEST",
            warning,
            re.escape(hidden),
            "a line of text",
            r"(?s)\[ERROR\] ValueError: asked for\nTraceback \(most recent call last\):\n.+asked for.+",
            rf"END RequestId: {UUID}",
            rf"{report}\tInit Duration: {number}",
        ],
    )


def test_a_log_of_json_has_lambdas_records_and_only_its_levels(aws: Aws) -> None:
    settings = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO"}
    arn = function(aws, LOGS, LoggingConfig=settings)
    invoke(aws, arn, {"fail": True})
    lines: list[Any] = [json.loads(line) if line[0] == "{" else line for line in log_lines(aws, arn)]
    init, start, warning, text, error, report = lines
    assert [one["type"] for one in (init, start, report)] == [
        "platform.initStart",
        "platform.start",
        "platform.report",
    ]
    request_id = start["record"]["requestId"]
    assert (warning["level"], warning["message"], warning["order"]) == ("WARNING", "refused", 7)
    assert warning["requestId"] == error["requestId"] == report["record"]["requestId"] == request_id
    assert text == "a line of text"
    assert (error["level"], error["errorType"], error["errorMessage"]) == ("ERROR", "ValueError", "asked for")
    assert report["record"]["status"] == "error"
    assert report["record"]["metrics"]["memorySizeMB"] == 128
    assert report["record"]["metrics"]["maxMemoryUsedMB"] > 0


def test_the_system_log_level_hides_lambdas_records_of_what_went_well(aws: Aws) -> None:
    settings = {"LogFormat": "JSON", "ApplicationLogLevel": "ERROR", "SystemLogLevel": "WARN"}
    arn = function(aws, LOGS, LoggingConfig=settings)
    invoke(aws, arn, {})
    # A line that names no level counts as INFO.
    assert log_lines(aws, arn) == []


def test_a_function_is_frozen_between_invocations(aws: Aws) -> None:
    arn = function(aws, COUNTS)
    first = invoke(aws, arn, {})
    process = psutil.Process(first["pid"])
    # The answer may arrive before the signal does.
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "the process is stopped")
    used = process.cpu_times()
    # Longer than the thread of the function needs for more than the handler adds.
    assert threading.Event().wait(1.0) is False
    assert process.cpu_times() == used
    second = invoke(aws, arn, {})
    assert second["pid"] == first["pid"]
    assert second["count"] < first["count"] + 500


def test_a_slow_init_phase_is_repeated_within_the_invocation(aws: Aws, tmp_path: Path) -> None:
    arns = (
        function(aws, SLOW_ONCE.format(folder=str(tmp_path)), Timeout=20),
        function(aws, "import time\ntime.sleep(60)", Timeout=1),
    )
    with ThreadPoolExecutor() as pool:
        served, late = pool.map(lambda arn: answer(aws, arn), arns)
    assert json.loads(served.body) == "served"
    assert re.search(r"INIT_REPORT Init Duration: 1\d{4}\.\d\d ms\tPhase: init\tStatus: timeout", served.log)
    assert late.envelope["errorType"] == "Sandbox.Timedout"
    assert late.log.rstrip().endswith("Status: timeout")


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "error"),
    [
        ("POST", "/invocation/another/response", {}, 400, "InvalidRequestID"),
        ("POST", "/extensions", {}, 403, "InvalidRequest"),
        ("GET", "/invocation/next", {}, 403, "InvalidStateTransition"),
        ("POST", "/init/error", {"Origin": "https://a.example"}, 403, "InvalidStateTransition"),
        ("POST", "/init/error", {"Host": "a.example"}, 403, "InvalidStateTransition"),
    ],
)
def test_the_runtime_api_refuses_what_is_not_its_turn_and_web_pages(
    aws: Aws, method: str, path: str, headers: dict[str, str], status: int, error: str
) -> None:
    event = {"method": method, "path": path, "headers": headers}
    got: Any = invoke(aws, function(aws, ASKS_THE_RUNTIME_API), event)
    assert (got[0], json.loads(got[1])["errorType"]) == (status, error)


def test_a_slow_client_of_the_runtime_api_delays_nobody(aws: Aws) -> None:
    impatient = Config(read_timeout=PATIENCE_SECONDS, retries={"total_max_attempts": 1})
    arn = function(aws, DRIPS, Timeout=PATIENCE_SECONDS)
    payload = aws.client("lambda", CONFIG.merge(impatient)).invoke(FunctionName=arn)["Payload"]
    assert json.loads(payload.read()) == "served"


@pytest.mark.parametrize(
    "request_line", ["GET /2018-06-01/runtime/invocation/next", "POST /2018-06-01/runtime/init/error"]
)
def test_the_runtime_api_serves_the_functions_processes_only(
    aws: Aws, tmp_path: Path, request_line: str
) -> None:
    arn, go_on = function(aws, WAITS, Timeout=PATIENCE_SECONDS), tmp_path / "go_on"
    address: Any = invoke(aws, arn, None)
    host, _, port = address.partition(":")
    with ThreadPoolExecutor() as pool:
        invoked = pool.submit(invoke, aws, arn, str(go_on))
        try:
            with socket.create_connection((host, int(port)), timeout=PATIENCE_SECONDS) as client:
                with contextlib.suppress(ConnectionError):
                    client.sendall(f"{request_line} HTTP/1.1\r\nHost: {address}\r\n\r\n".encode())
                assert _received(client) == b""
        finally:
            go_on.touch()
        assert invoked.result() == address


def _received(client: socket.socket) -> bytes:
    with contextlib.suppress(ConnectionError):
        return client.recv(1000)
    return b""


def test_a_machine_without_aws_compiled_client_has_one_in_python(tmp_path: Path) -> None:
    """On macOS the packages are the same, but for the compiled client, which Python doesn't find there."""
    packages = tmp_path / "packages"
    packages.mkdir()
    for source in (*installed(RUNTIME).iterdir(), CLIENT_IN_PYTHON):
        if source.suffix != ".so":
            (packages / source.name).symlink_to(source)
    (tmp_path / "code_of_test.py").write_text(
        "def handler(event, context):\n"
        "    if event['fail']: raise ValueError('é')\n"
        "    return [event, context.get_remaining_time_in_millis() > 0]\n"
    )
    arguments = (interpreter(RUNTIME), "-S", "-s", "-m", "awslambdaric", "code_of_test.handler")
    variables = {"PYTHONPATH": str(packages), "AWS_EXECUTION_ENV": f"AWS_Lambda_{RUNTIME}"}
    reaper = Reaper()
    environment = ExecutionEnvironment(Command(arguments, tmp_path, variables, 128), reaper)
    try:
        environment.wait_until_ready(time.monotonic() + 20)
        for number, fail in enumerate((False, True, False)):
            event = {"fail": fail, "text": "é"}
            invocation = Invocation(str(number), event, "arn", time.time() + 20)
            got = environment.invoke(invocation, time.monotonic() + 20)
            assert got.error_type == ("ValueError" if fail else None)
            assert fail or got.value() == [event, True]
    finally:
        environment.close()
        reaper.close()


def _by_invocation(lines: list[str]) -> Iterator[list[str]]:
    one: list[str] = []
    for line in lines:
        one.append(line)
        if line.startswith("REPORT"):
            yield one
            one = []


def _match(lines: list[str], patterns: list[str]) -> None:
    assert len(lines) == len(patterns), lines
    for line, pattern in zip(lines, patterns, strict=True):
        assert re.fullmatch(pattern, line), (line, pattern)
