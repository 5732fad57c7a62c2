"""The pipeline with one of its safeguards taken out: does the checker see what that breaks?

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
    """One safeguard taken out.

    Parameters
    ----------
    name
        The finding of the reliability review, or what was found since; and what is taken out.
    module, before, after
        What is replaced: it stands in the module once.
    models
        Each model that must find it, with the kind of flaw; see :mod:`tests.model.judge`.
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
        "H2: a 422 ends doubt, whatever it says",
        api,
        "raise _failure(response, path, answer, doubt=doubt and code != EVENT_REJECTED)",
        "raise _failure(response, path, answer, doubt=doubt and status != 422)",
        {"OnceReusedNoCodes": "TWICE", "OnceLateBodyFirst": "TWICE", "LatestReusedNoCodes": "OLDER"},
    ),
    Mutation(
        "H2: idempotency_key_reused is a refusal",
        api,
        "if refusal and code in (ALREADY_APPLIED, KEY_REUSED):",
        "if refusal and code in (ALREADY_APPLIED,):",
        {"OnceReused": "STUCK"},
    ),
    Mutation(
        "M1: a 409 without a code means applied, also after a call of unknown outcome",
        api,
        "        elif doubt:\n            reason",
        "        elif False:\n            reason",
        {"OnceLateNoCodes": "LOST"},
    ),
    Mutation(
        "M1: a call in progress counts as applied",
        api,
        "if code == IN_PROGRESS:",
        "if code == IN_PROGRESS:\n            return\n        elif False:",
        {"OnceLate": "LOST"},
    ),
    Mutation(
        "M2: refetch looks at no end",
        ordering,
        "return ended if self.state.order == names.REFETCH else",
        "return 0 if self.state.order == names.REFETCH else",
        {"RefetchEnd": "OVER THE END"},
    ),
    Mutation(
        "M2: refetch waits for no end in doubt",
        ordering,
        "(entry.startswith(END) or not ends_only)",
        "not ends_only",
        {"RefetchEnd": "OVER THE END"},
    ),
    Mutation(
        "M3: one slot for what is in doubt",
        ordering,
        'entries = "unsettled.#entry = :time" if self._seen.get("unsettled") else "unsettled = :entries"',
        'entries = "unsettled = :entries"',
        {"OrderOffWatermark": "OLDER"},
        faults=2,
    ),
    Mutation(
        "M3: nobody's word ends doubt",
        apply,
        "return client is not None and (client.custom or {}).get(names.SETTLE) is True",
        "return False",
        {"OnceNoCodes": "STUCK"},
    ),
    Mutation(
        "M4: a forced replay applies again whatever is complete",
        process,
        "if again is None or done.completed_at >= again * 1000:",
        "if again is None:",
        {"ForcedOnce": "TWICE", "ForcedEach": "TWICE"},
    ),
    Mutation(
        "M4: a forced replay applies nothing again",
        process,
        "if again is None or done.completed_at >= again * 1000:",
        "if True:",
        {"ForcedOnce": "NOT REPEATED", "ForcedLatest": "NOT REPEATED"},
    ),
    Mutation(
        "M6: every redrive has the last word",
        apply,
        "return client is not None and (client.custom or {}).get(names.SETTLE) is True",
        "return True",
        {"OnceRedriven": "TWICE"},
    ),
    Mutation(
        "M9: previous_attributes are not looked at",
        ordering,
        'return self.state.after is not None and self._seen.get("before_hash") == self.state.after',
        "return False",
        {"Tie": "OLDER"},
    ),
    Mutation(
        "M9: an undecided tie is not fetched",
        apply,
        "return claim.undecided and settings.secret(names.STRIPE_SECRET_KEY) is not None",
        "return False",
        {"TieFetched": "OLDER"},
    ),
    Mutation(
        "M9: a tie does not wait for the one in doubt",
        ordering,
        "since = self.state.time + self.doubt",
        "since = self.state.time + 1",
        {"Tie": "OLDER", "TieFetched": "OLDER"},
    ),
    Mutation(
        "L1: no time for a call that the API is still at",
        ordering,
        "until = now + COOLING_SECONDS if at_work or self._mine else earlier",
        "until = 0",
        {"LatestLate": "OLDER", "EndLate": "OVER THE END"},
    ),
    Mutation(
        "L1: a refusal ends the time for a call that the API is still at",
        ordering,
        "else earlier\n",
        "else 0\n",
        {"LatestLateRefused": "OLDER"},
    ),
    Mutation(
        "L2 i: the lease ends with the invocation",
        ordering,
        "until=round((until + COOLING_SECONDS) * 1000)",
        "until=round(until * 1000)",
        {"LatestSkewAtTheEnd": "OLDER"},
    ),
    Mutation(
        "L2 i: no allowance for clocks that differ",
        ordering,
        "until = now + COOLING_SECONDS if",
        "until = now + LATE_SECONDS if",
        {"LatestLittleSkew": "OLDER"},
    ),
    Mutation(
        "L2 ii: a completion that lost its lease is forgotten",
        claims,
        "for order in (self.stream.complete(fetched_at=fetched_at, body=body), *late):",
        "for order in (self.stream.complete(fetched_at=fetched_at, body=body),):",
        {"LatestTwiceSkew": "STUCK"},
    ),
    Mutation(
        "L2 iii: an invocation frees an effect that another one has claimed since",
        claims,
        "self._give_up([part.release() for part in (self.record, self.effect, self.stream) if part])",
        "[self._give_up([part.release()]) for part in (self.record, self.effect, self.stream) if part]",
        {"OnceSkew": "TWICE"},
    ),
    Mutation(
        "L2 iv: a lost lease is an unexpected error",
        claims,
        "            except ConditionFailedError:\n                continue\n",
        "            except ZeroDivisionError:\n                continue\n",
        {"LatestSkew": "UNEXPECTED"},
    ),
    Mutation(
        "L3: an invocation releases a record that another one has taken since",
        idempotency,
        'expiration = :expiration REMOVE doubt", _MINE, status=RELEASED',
        'expiration = :expiration REMOVE doubt", None, status=RELEASED',
        {"OnceSkew": "TWICE"},
    ),
    Mutation(
        "L6: off writes no order",
        apply,
        "if route.repeat == LATEST or route.ends_stream:",
        "if (route.repeat == LATEST or route.ends_stream) and delivery.settings.order != names.OFF:",
        {"OrderOffWatermark": "OLDER", "EndOffRefetch": "OVER THE END"},
    ),
    Mutation(
        "an older state does not wait for a newer one in doubt",
        ordering,
        "if ordered and self._waits_for_newer():",
        "if False:",
        {"Latest": "OLDER", "End": "OVER THE END"},
    ),
    Mutation(
        "an effect's claim does not keep others off",
        effects,
        "_MINE if self.seen else _FREE,",
        "None,",
        {"Once": "TWICE"},
    ),
    Mutation(
        "an effect is released after a call of unknown outcome",
        apply,
        "_give_up(claim, doubt=doubt and (another or not judged), at_work=at_work)",
        "_give_up(claim, doubt=False, at_work=at_work)",
        {"Once": "TWICE", "Latest": "OLDER"},
    ),
    Mutation(
        "with refetch the event's own next delivery does not wait for a call that is still open",
        ordering,
        "or self._may_fetch)",
        "or False)",
        {"RefetchLate": "OLDER"},
    ),
    Mutation(
        "a table that does not answer is an unexpected error",
        idempotency_table,
        'getattr(error, "response", None) or {}',
        'getattr(error, "response", {})',
        {"Each": "UNEXPECTED"},
    ),
)
