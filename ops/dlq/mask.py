"""Mask or erase personal data: only values that are known to be harmless stay.

A string stays if both its key and its form are on the list, a number if its key is. So an e-mail address
under `id` is masked, and so is a date of birth, although it is a number. This list is the only one: `dlq
show` masks by it what `customer erase` erases for ever.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from typing import Any, Final

MASKED: Final = "***"
# No event of Stripe is nested so deeply; Python's own limit is ten times that.
DEEPEST: Final = 100

_WORD: Final = re.compile(r"[a-z][a-z0-9_.]{0,63}")
# Stripe's ids by the prefixes that Stripe's API reference shows, and no longer ones that hold a secret. Ids
# that merchants choose, of coupons for instance, may be anything, so they are masked.
_STRIPE_ID: Final = re.compile(
    r"(acct|alrt|atxi|ba|bpc|bps|ca|card|cbtxn|ccsbtxn|ch|climorder|climsku|clock|cn|cnli|cpmt|credgr|credrev|cs"
    r"|cus|debrev|di|dp|du|ent|evt|fa|fca|fcauth|fcsess|fctxn|feat|fee|file|fr|frr|iauth|ibt|ic|ich|ics|idp|ii|il"
    r"|in|inpay|intok|ipcd|ipi|issfr|li|link|mandate|mtr|obp|obt|par|person|pi|plan|plink|pm|po|pr|price|prod"
    r"|promo|prv|py|pyr|qt|rc|rd|re|req|rp|sa|seti|setatt|shr|si|sqr|src|srctxn|sub|sub_sched|tax|taxcalc|tml|tmr"
    r"|tr|trr|trxn|tu|txi|txn|txr|vr|vs|we)"
    r"_((test|live)_)?[A-Za-z0-9]{1,96}"
)
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)")
_ARN: Final = re.compile(r"arn:aws[a-z-]*:[A-Za-z0-9:/_.$-]{1,400}")
_CLASS: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,80}")
_VERSION: Final = re.compile(r"[0-9$A-Z][A-Za-z0-9_.-]{0,39}")
_PATH: Final = re.compile(r"/api/[a-z/-]{1,80}")
_DIGITS: Final = re.compile(r"\d{1,12}")


def _forms(keys: str, *forms: re.Pattern[str]) -> dict[str, tuple[re.Pattern[str], ...]]:
    return dict.fromkeys(keys.split(), forms)


_STRINGS: Final = {
    # Stripe's objects: ids and references, enumerations, currencies.
    **_forms("id", _STRIPE_ID, _UUID),
    **_forms(
        "account application balance_transaction charge checkout_session credit_grant customer "
        "customer_account default_payment_method destination destination_payment dispute event_id "
        "idempotency_key invoice invoiceitem invoice_item last_verification_report latest_charge "
        "latest_invoice mandate originating_transaction payment_intent payment_method payout plan price "
        "product quote refund related_customer related_customer_account request schedule setup_intent source "
        "source_charge source_transaction subscription subscription_item transfer verification_session",
        _STRIPE_ID,
    ),
    **_forms(
        "billing_reason billing_scheme cancellation_reason capture_method code collection_method "
        "confirmation_method currency decline_code event_type failure_code interval mode network_status "
        "object outcome payment_method_types payment_status pricing_type proration_behavior reason "
        "risk_level setup_future_usage status submit_type type usage_type",
        _WORD,
    ),
    **_forms("detail-type", _WORD),
    **_forms("api_version", _VERSION),
    # EventBridge's envelope.
    **_forms("version", _VERSION),
    **_forms("time timestamp", _TIME),
    **_forms("region", re.compile(r"[a-z]{2}(-[a-z]+)+-\d")),
    **_forms("resources", _ARN),
    **_forms("replay-name", re.compile(r"(forced-)?replay-[a-z]+-[0-9TZ]{16}")),
    # What EventBridge, Lambda and SQS report about a failure.
    **_forms("RULE_ARN TARGET_ARN functionArn DeadLetterQueueSourceArn", _ARN),
    **_forms("ERROR_CODE EXHAUSTED_RETRY_CONDITION condition errorType error functionError", _CLASS),
    **_forms("RETRY_ATTEMPTS ApproximateReceiveCount", _DIGITS),
    **_forms("SentTimestamp ApproximateFirstReceiveTimestamp", re.compile(r"\d{13}")),
    **_forms("requestId MessageDeduplicationId", _UUID, re.compile(r"[0-9a-f]{64}")),
    **_forms("executedVersion", re.compile(r"\$LATEST|\d{1,12}")),
    **_forms("MessageGroupId handler", _WORD),
    **_forms("endpoint", _PATH),
}
# The envelope's source is the partner event source, its account the AWS account.
_STRINGS["source"] = (_STRIPE_ID, re.compile(r"aws\.partner/stripe\.com/ed_[A-Za-z0-9_]{1,200}"))
_STRINGS["account"] = (_STRIPE_ID, re.compile(r"\d{12}"))
_STRINGS["status"] = (_WORD, re.compile(r"\d{3}"))

_NUMBERS: Final = re.compile(
    r"(unit_)?amount(_[a-z_]+)?|[a-z_]+_amount|subtotal|total|balance|fee|tax|quantity|created|period|start|end"
    r"|[a-z_]+_(at|start|end|count|percent|attempt|anchor)|status|statusCode|approximateInvokeCount"
    r"|pending_webhooks"
)
# A promotion code's `code` may spell a name; an operator needs the same key of an error, the ledger does not.
_ERASED_TOO: Final = frozenset({"code"})
# Keys are Stripe's, or somebody's own; one that is not a plain word may be anything.
_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
# Below these, merchants and customers write free text, names of fields included.
FREE: Final = frozenset({"metadata", "custom_fields", "custom_text", "answer"})


class TooDeepError(ValueError):
    """A document is nested more deeply than can be shown."""


def masked(document: Any, *, words: Collection[str] = ()) -> Any:
    """Return a JSON document without personal data; `words` are our own sentences, which stay.

    Raises
    ------
    TooDeepError
        It is nested too deeply.
    """
    return _value(document, "", frozenset(words), free=False, depth=0)


def erased(value: Any, key: str = "", *, keep: str = "", depth: int = 0) -> Any:
    """Return a JSON value with null for all that may be personal; erasing it again changes nothing.

    Objects and lists keep their structure. Keys that are not Stripe's go, and so does what is nested deeper
    than `DEEPEST`.

    Parameters
    ----------
    key
        The key that holds the value, or the list with it.
    keep
        A string that stays: the id of the customer, which may be of any form.
    """
    if isinstance(value, bool):
        return value
    if key in FREE or key in _ERASED_TOO or depth >= DEEPEST:
        return None
    if isinstance(value, dict):
        return {
            name: erased(below, name, keep=keep, depth=depth + 1)
            for name, below in value.items()
            if _KEY.fullmatch(name)
        }
    if isinstance(value, list):
        return [erased(below, key, keep=keep, depth=depth + 1) for below in value]
    if isinstance(value, str):
        return value if value == keep or _harmless(value, key) else None
    return value if _NUMBERS.fullmatch(key) else None


def check_depth(document: Any) -> None:
    """Refuse a document that can't be written as JSON again.

    Raises
    ------
    TooDeepError
        It is nested too deeply.
    """
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        level = [below for each in level for below in _below(each)]
        if not level:
            return
    raise TooDeepError


def _below(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _value(value: Any, key: str, words: frozenset[str], *, free: bool, depth: int) -> Any:
    if depth >= DEEPEST:
        raise TooDeepError
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, dict):
        return {
            # By its number: two masked keys are not one.
            f"{MASKED} {number}" if free or not _KEY.fullmatch(name) else name: _value(
                below, name, words, free=free or name in FREE, depth=depth + 1
            )
            for number, (name, below) in enumerate(value.items(), 1)
        }
    if isinstance(value, list):
        return [_value(below, key, words, free=free, depth=depth + 1) for below in value]
    if isinstance(value, str):
        return value if value in words or (not free and _harmless(value, key)) else MASKED
    return value if not free and _NUMBERS.fullmatch(key) else MASKED


def _harmless(value: str, key: str) -> bool:
    return any(form.fullmatch(value) for form in _STRINGS.get(key, ()))
