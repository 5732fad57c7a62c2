"""The pipeline with one of its safeguards removed: does the checker find what that breaks?

A mutation replaces one piece of a module's source. What is compiled from the changed source takes the
place of the module's code, function by function, so that whoever imported a function runs the changed one.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from functions.pipeline import api, apply, claims, effects, idempotency, idempotency_table, ordering, process


@dataclass(frozen=True)
class Mutation:
    """One removed safeguard.

    Parameters
    ----------
    name
        What is removed.
    module, before, after
        What is replaced: it stands in the module once.
    models
        Each model that must find it, with the kind of flaw; see `tests.model.promises`.
    faults
        How much goes wrong, instead of what the models say.
    """

    name: str
    module: ModuleType
    before: str
    after: str
    models: dict[str, str]
    faults: int | None = None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Run the changed code in place of the shipped one."""
        source = inspect.getsource(self.module)
        if source.count(self.before) != 1:
            raise ValueError(
                f"{self.name}: {self.before!r} stands {source.count(self.before)} times in the module"
            )
        changed = compile(source.replace(self.before, self.after), inspect.getfile(self.module), "exec")
        codes = dict(_codes(changed))
        shipped = {function: function.__code__ for function in _functions(self.module)}
        try:
            for function in shipped:
                function.__code__ = codes[function.__qualname__]
            yield
        finally:
            for function, code in shipped.items():
                function.__code__ = code


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner.co_qualname, inner
            yield from _codes(inner)


def _functions(module: ModuleType) -> Iterator[FunctionType]:
    for value in list(vars(module).values()):
        members: list[Any] = [value]
        if isinstance(value, type) and value.__module__ == module.__name__:
            members = list(vars(value).values())
        for member in members:
            function = member.fget if isinstance(member, property) else inspect.unwrap(member)
            if isinstance(function, FunctionType) and function.__code__.co_filename == module.__file__:
                yield function


MUTATIONS: Final = (
    Mutation(
        "every 422 settles a call of unknown outcome",
        api,
        "raise _failure(response, path, answer, doubt=doubt and not rejected)",
        "raise _failure(response, path, answer, doubt=doubt and status != 422)",
        {"OnceReusedNoCodes": "TWICE", "OnceLateBodyFirst": "TWICE", "LatestReusedNoCodes": "OLDER"},
    ),
    Mutation(
        "idempotency_key_reused is a refusal",
        api,
        "if refusal and code in (ALREADY_APPLIED, KEY_REUSED):",
        "if refusal and code in (ALREADY_APPLIED,):",
        {"OnceReused": "STUCK"},
    ),
    Mutation(
        "a 409 without a code means applied, even after an earlier call with unknown outcome",
        api,
        "        elif doubt:\n            reason",
        "        elif False:\n            reason",
        {"OnceLateNoCodes": "LOST"},
    ),
    Mutation(
        "a call in progress counts as applied",
        api,
        "if code == IN_PROGRESS:",
        "if code == IN_PROGRESS:\n            return\n        elif False:",
        {"OnceLate": "LOST"},
    ),
    Mutation(
        "refetch ignores an applied end",
        ordering,
        "return ended if self.state.order == names.REFETCH else",
        "return 0 if self.state.order == names.REFETCH else",
        {"RefetchEnd": "OVER THE END"},
    ),
    Mutation(
        "refetch does not wait for an end of unknown outcome",
        ordering,
        "(entry.startswith(END) or not ends_only)",
        "not ends_only",
        {"RefetchEnd": "OVER THE END"},
    ),
    Mutation(
        "only one entry in `unsettled`",
        ordering,
        'entries = "unsettled.#entry = :time" if self._seen.get("unsettled") else "unsettled = :entries"',
        'entries = "unsettled = :entries"',
        {"OrderOffWatermark": "OLDER"},
        faults=2,
    ),
    Mutation(
        "`--settle` is ignored",
        apply,
        "return client is not None and (client.custom or {}).get(names.SETTLE) is True",
        "return False",
        {"OnceNoCodes": "STUCK"},
    ),
    Mutation(
        "a forced replay applies every completed event again",
        process,
        "if replayed_at is None or done.completed_at >= replayed_at * 1000:",
        "if replayed_at is None:",
        {"ForcedOnce": "TWICE", "ForcedEach": "TWICE"},
    ),
    Mutation(
        "a forced replay applies nothing again",
        process,
        "if replayed_at is None or done.completed_at >= replayed_at * 1000:",
        "if True:",
        {"ForcedOnce": "NOT REPEATED", "ForcedLatest": "NOT REPEATED"},
    ),
    Mutation(
        "every redrive settles, without `--settle`",
        apply,
        "return client is not None and (client.custom or {}).get(names.SETTLE) is True",
        "return True",
        {"OnceRedriven": "TWICE"},
    ),
    Mutation(
        "`previous_attributes` are ignored",
        ordering,
        'return self.state.after is not None and self._seen.get("before_hash") == self.state.after',
        "return False",
        {"Tie": "OLDER"},
    ),
    Mutation(
        "an undecided tie is not fetched",
        apply,
        "return claim.undecided and settings.secret(names.STRIPE_SECRET_KEY) is not None",
        "return False",
        {"TieFetched": "OLDER"},
    ),
    Mutation(
        "a tie does not wait for the event of unknown outcome",
        ordering,
        "since = self.state.time + self.doubt",
        "since = self.state.time + 1",
        {"Tie": "OLDER", "TieFetched": "OLDER"},
    ),
    Mutation(
        "no wait for a call that is still in flight",
        ordering,
        "until = now + COOLING_SECONDS if in_flight or self._mine else earlier",
        "until = 0",
        {"LatestLate": "OLDER", "EndLate": "OVER THE END"},
    ),
    Mutation(
        "a refusal ends the wait for a call that is still in flight",
        ordering,
        "else earlier\n",
        "else 0\n",
        {"LatestLateRefused": "OLDER"},
    ),
    Mutation(
        "the lease ends with the invocation",
        ordering,
        "until=round((until + COOLING_SECONDS) * 1000)",
        "until=round(until * 1000)",
        {"LatestSkewAtTheEnd": "OLDER"},
    ),
    Mutation(
        "no allowance for clocks that differ",
        ordering,
        "until = now + COOLING_SECONDS if",
        "until = now + LATE_SECONDS if",
        {"LatestLittleSkew": "OLDER"},
    ),
    Mutation(
        "a completion that lost its lease is forgotten",
        claims,
        "for order in (self.states.complete(fetched_at=fetched_at, body=body), *late):",
        "for order in (self.states.complete(fetched_at=fetched_at, body=body),):",
        {"LatestTwiceSkew": "STUCK"},
    ),
    Mutation(
        "an invocation releases an effect that another one has claimed since",
        claims,
        "self._write_if_held([part.release() for part in (self.record, self.effect, self.states) if part])",
        "[self._write_if_held([part.release()]) for part in (self.record, self.effect, self.states) if part]",
        {"OnceSkew": "TWICE"},
    ),
    Mutation(
        "a lost lease is an unexpected error",
        claims,
        "            except ConditionFailedError:\n                continue\n",
        "            except ZeroDivisionError:\n                continue\n",
        {"LatestSkew": "UNEXPECTED"},
    ),
    Mutation(
        "an invocation releases a record that another one has claimed since",
        idempotency,
        'expiration = :expiration REMOVE doubt", _MINE, status=RELEASED',
        'expiration = :expiration REMOVE doubt", None, status=RELEASED',
        {"OnceSkew": "TWICE"},
    ),
    Mutation(
        "`order = off` writes no states",
        apply,
        "if route.repeat == LATEST or route.ends_object:",
        "if (route.repeat == LATEST or route.ends_object) and delivery.settings.order != names.OFF:",
        {"OrderOffWatermark": "OLDER", "EndOffRefetch": "OVER THE END"},
    ),
    Mutation(
        "an older state does not wait for a newer one of unknown outcome",
        ordering,
        "if ordered and self._waits_for_newer():",
        "if False:",
        {"Latest": "OLDER", "End": "OVER THE END"},
    ),
    Mutation(
        "an effect's claim does not exclude others",
        effects,
        "_MINE if self.seen else _FREE,",
        "None,",
        {"Once": "TWICE"},
    ),
    Mutation(
        "an effect is released after a call of unknown outcome",
        apply,
        "unknown = doubt and (other_body or not refused)",
        "unknown = False",
        {"Once": "TWICE", "Latest": "OLDER"},
    ),
    Mutation(
        "with refetch the event's own next delivery does not wait for a call that is still in flight",
        ordering,
        "or self._may_fetch)",
        "or False)",
        {"RefetchLate": "OLDER"},
    ),
    Mutation(
        "a proxy's 409 counts as applied",
        api,
        "elif not _is_codeless(answer):",
        "elif False:",
        {"OnceProxy409": "LOST"},
    ),
    Mutation(
        "a call is not in flight after a gateway's 524",
        api,
        "status not in ANSWERED_BY_THE_API",
        "status in (502, 504)",
        {"LatestLate524": "OLDER"},
    ),
    Mutation(
        "a table that does not answer is an unexpected error",
        idempotency_table,
        'getattr(error, "response", None) or {}',
        'getattr(error, "response", {})',
        {"Each": "UNEXPECTED"},
    ),
)
