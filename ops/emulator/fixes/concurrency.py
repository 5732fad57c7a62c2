"""Reserved concurrency counts against the account's quota, which Service Quotas states too.

Sources: Lambda developer guide, "Configuring reserved concurrency for a function"; Service Quotas API
reference, GetServiceQuota. The quota of the account is L-B99A9384; `EMULATOR_LIMITS` sets another one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from ministack import app
from ministack.core import responses, router
from ministack.services import lambda_svc

from ops.emulator import limits
from ops.emulator.patching import original, replace

Data = dict[str, Any]
Answer = tuple[int, dict[str, str], bytes]

SERVICE: Final = "servicequotas"
TARGET: Final = "ServiceQuotasV20190624"
QUOTA_CODE: Final = "L-B99A9384"


def apply() -> None:
    """Refuse reservations beyond the quota, and serve Service Quotas."""
    quota = limits.CONCURRENCY.value
    # This machine runs fewer at once than AWS, but never more than the quota.
    machine = original(lambda_svc, "_ACCOUNT_CONCURRENCY_CAP")
    replace(lambda_svc, "_ACCOUNT_CONCURRENCY_CAP", min(quota, machine) if machine else quota)
    reserve = original(lambda_svc, "_put_function_concurrency")
    replace(lambda_svc, "_put_function_concurrency", _within_the_quota(reserve))
    replace(lambda_svc, "_get_account_settings", _settings(original(lambda_svc, "_get_account_settings")))
    original(router, "SERVICE_PATTERNS")[SERVICE] = {"target_prefixes": [TARGET]}
    original(app, "SERVICE_HANDLERS")[SERVICE] = _serve


def _reserved(except_for: str = "") -> int:
    """Return the executions that the functions other than the named one reserve."""
    functions = lambda_svc._functions
    return sum(int(functions[name].get("concurrency") or 0) for name in functions if name != except_for)


def _within_the_quota(reserve: Callable[[str, Data], Answer]) -> Callable[[str, Data], Answer]:
    def put_function_concurrency(name: str, data: Data) -> Answer:
        quota = limits.CONCURRENCY.value
        # A new account has a quota of 10 or 50, of which nothing can be reserved.
        least = min(limits.UNRESERVED.value, quota)
        wanted = int(data.get("ReservedConcurrentExecutions") or 0)
        if wanted and quota - _reserved(name) - wanted < least:
            message = (
                "Specified ReservedConcurrentExecutions for function decreases account's "
                f"UnreservedConcurrentExecution below its minimum value of [{least}]."
            )
            answer: Answer = responses.error_response_json(limits.INVALID_VALUE, message, 400)
            return answer
        return reserve(name, data)

    return put_function_concurrency


def _settings(get: Callable[[], Answer]) -> Callable[[], Answer]:
    def get_account_settings() -> Answer:
        status, headers, body = get()
        settings = json.loads(body)
        quota = limits.CONCURRENCY.value
        settings["AccountLimit"] |= {
            "ConcurrentExecutions": quota,
            "UnreservedConcurrentExecutions": quota - _reserved(),
        }
        return status, headers, json.dumps(settings).encode()

    return get_account_settings


async def _serve(method: str, path: str, headers: Data, body: bytes, query: Data) -> Answer:
    """Serve the operations of Service Quotas that read."""
    del method, path, query
    operation = headers.get("x-amz-target", "").rpartition(".")[2]
    data = json.loads(body or b"{}")
    value = limits.CONCURRENCY.most if operation == "GetAWSDefaultServiceQuota" else limits.CONCURRENCY.value
    answer: Answer
    if operation == "ListServiceQuotas":
        answer = responses.json_response(
            {"Quotas": [_quota(value)] if data["ServiceCode"] == "lambda" else []}
        )
    elif operation not in ("GetServiceQuota", "GetAWSDefaultServiceQuota"):
        answer = responses.error_response_json("UnknownOperationException", f"{operation} is not served", 400)
    elif (data.get("ServiceCode"), data.get("QuotaCode")) == ("lambda", QUOTA_CODE):
        answer = responses.json_response({"Quota": _quota(value)})
    else:
        answer = responses.error_response_json(
            "NoSuchResourceException", "The request failed because the specified quota does not exist.", 400
        )
    return answer


def _quota(value: int | None) -> Data:
    region, account = responses.get_region(), responses.get_account_id()
    return {
        "ServiceCode": "lambda",
        "ServiceName": "AWS Lambda",
        "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:lambda/{QUOTA_CODE}",
        "QuotaCode": QUOTA_CODE,
        "QuotaName": "Concurrent executions",
        "Value": value,
        "Unit": "None",
        "Adjustable": True,
        "GlobalQuota": False,
    }
