"""Stripe: the key, the event destination and its event types."""

from __future__ import annotations

from functions.shared import names
from ops import keys
from ops.console import plural
from ops.destination.wanted import NEW_SOURCE, THIN, missing_sources
from ops.doctor.check import Finding, failed, passed, shortened, warned, worst
from ops.doctor.context import Context


def key(context: Context) -> Finding:
    """Check whether Stripe accepts the deployed key, of the right mode, for what the functions read."""
    return of_key(context, names.STRIPE_SECRET_KEY, context.secret(names.STRIPE_SECRET_KEY))


def of_key(context: Context, name: str, value: str) -> Finding:
    """Return what a harmless call with one of `names.SECRET_KEYS` found."""
    found = keys.check(name, value, context.environment.settings)
    step = context.command(f"secrets push {name}")
    if found.state is keys.State.REFUSED:
        return failed(found.detail, step)
    if found.state is keys.State.UNREACHABLE:
        return warned(found.detail, "repeat from where the service can be reached")
    return passed(found.detail)


def destination(context: Context) -> Finding:
    """Check whether Stripe sends events to the environment's event source, in the form that it expects."""
    session, settings = context.destination(), context.environment.settings
    found = session.found
    if found is None:
        return failed("Stripe has none for this environment", context.command("destination create"))
    problems = []
    if not found.enabled:
        step = "delete" if found.source_status == "deleted" else "enable"
        problems.append(
            failed(
                f"{found.id} is disabled: {found.why or 'no reason given'}",
                context.command(f"destination {step}"),
            )
        )
    if found.source_name and found.source_name != context.environment.bus:
        problems.append(
            failed(
                f"it feeds {found.source_name}, but stripe_event_source_name = {context.environment.bus}",
                context.command("destination create"),
            )
        )
    # With thin_events the functions process snapshot events, too.
    if found.payload == THIN and not settings.thin_events:
        step = "set thin_events = true, and deploy"
        problems.append(failed("it sends thin events, but thin_events = false", step))
    if lacks := missing_sources(found, session.wanted):
        problems.append(failed(lacks, f"Stripe can't change it: make {NEW_SOURCE}"))
    form = f"{found.payload} {found.api_version}".strip()
    return worst(problems, f"{found.id}, enabled, {form}")


def event_types(context: Context) -> Finding:
    """Check whether the destination subscribes to the types that are wanted, and to no others."""
    session = context.destination()
    found, differs = session.its_own, session.difference
    step = context.command("destination update")
    problems = []
    if differs.missing_routed:
        missing = differs.missing_routed
        problems.append(failed(f"missing, routed: {shortened(missing)}", step, missing))
    if differs.missing_unrouted:
        missing = differs.missing_unrouted
        problems.append(warned(f"missing, for the ledger: {shortened(missing)}", step, missing))
    if differs.superfluous:
        problems.append(warned(f"superfluous: {shortened(differs.superfluous)}", step, differs.superfluous))
    combined = worst(problems, f"{plural(len(found.event_types), 'type')}, as wanted")
    everything = tuple(name for each in problems for name in each.names)
    return Finding(combined.status, combined.text, combined.next, everything)
