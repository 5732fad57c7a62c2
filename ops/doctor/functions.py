"""The functions: their secrets, state, code and concurrency, and what is paused."""

from __future__ import annotations

import os
from collections.abc import Iterator

from functions.shared import names
from ops import keys, preflight
from ops.bundles import LAMBDA, Target
from ops.bundles.contents import of_checkout
from ops.console import plural
from ops.doctor.check import Finding, failed, shortened, warned, worst
from ops.doctor.context import Context
from ops.doctor.expected import functions as deployed
from ops.environment import if_exists
from ops.switches import SWITCHES, HandlerRule


def secrets(context: Context) -> Finding:
    """Check whether each secret exists, and holds a value where the environment needs one."""
    settings, problems, empty = context.environment.settings, [], []
    for key in names.SECRET_KEYS:
        if context.secret(key):
            continue
        empty.append(key)
        if keys.needed(key, settings):
            problems.append(failed(f"{key} is empty", context.command(f"secrets push {key}")))
    noted = f"; {', '.join(empty)} empty, and not needed" if empty else ""
    return worst(problems, f"{plural(len(names.SECRET_KEYS), 'secret')}{noted}")


def functions(context: Context) -> Finding:
    """Check whether each function exists and can run."""
    wanted = deployed(context.environment.settings)
    return worst(_states(context, wanted), f"{plural(len(wanted), 'function')}, active")


def code(context: Context) -> Finding:
    """Compare what the functions run with the last deploy, and the last deploy with this checkout."""
    state, settings = context.state(), context.environment.settings
    client, deploy = context.client("lambda"), context.deploy
    problems = []
    for name, sha in sorted(state.code.items()):
        if client.get_function_configuration(FunctionName=name)["CodeSha256"] != sha:
            problems.append(failed(f"{name} runs code that no deploy wrote", deploy))
    system = os.environ.get("BUNDLE_SYSTEM") or LAMBDA.system
    target = Target(settings.lambda_architecture, settings.lambda_runtime, system)
    here, there = of_checkout(target), state.contents
    differing = sorted(part for part in {*here, *there} if here.get(part) != there.get(part))
    if differing:
        text = f"this checkout differs in {plural(len(differing), 'part')}: {shortened(differing)}"
        problems.append(warned(text, f"make plan ENV={context.environment.name}", differing))
    counts = f"{plural(len(state.code), 'function')}, {plural(len(here), 'part')}"
    found = worst(problems, f"{counts} as in this checkout")
    return Finding(found.status, found.text, found.next, tuple(differing) or found.names)


def concurrency(context: Context) -> Finding:
    """Check whether the account has the executions that the settings reserve, and each function some."""
    problems = [failed(each.text) for each in preflight.concurrency(context.environment)]
    client = context.client("lambda")
    for part in deployed(context.environment.settings):
        name = context.environment.resource(part)
        found = if_exists(client.get_function_concurrency, FunctionName=name)
        if found is not None and found.get("ReservedConcurrentExecutions") == 0:
            region = context.environment.region
            remove = f"aws lambda delete-function-concurrency --function-name {name} --region {region}"
            step = f"{remove} && {context.deploy}"
            problems.append(failed(f"{name} has 0 reserved executions: each event fails at once", step))
    limit = client.get_account_settings()["AccountLimit"]
    free = limit["UnreservedConcurrentExecutions"]
    return worst(problems, f"quota {limit['ConcurrentExecutions']}, {free} unreserved")


def paused(context: Context) -> Finding:
    """Check whether the audit's mapping and the schedules run; the check of the rules has the handlers."""
    environment = context.environment
    wanted, problems, running = deployed(environment.settings), [], []
    for part, switch in SWITCHES.items():
        if isinstance(switch, HandlerRule) or part not in wanted:
            continue
        state = switch.state(environment)
        if not state.deployed:
            problems.append(failed(f"{part} is not deployed", context.deploy))
        elif state.paused:
            problems.append(warned(f"{part} is {state}", context.command(f"resume {part}")))
        else:
            running.append(part)
    return worst(problems, f"{', '.join(running)} running")


def _states(context: Context, wanted: tuple[str, ...]) -> Iterator[Finding]:
    client, deploy = context.client("lambda"), context.deploy
    runtime = context.environment.settings.lambda_runtime
    for part in wanted:
        name = context.environment.resource(part)
        found = if_exists(client.get_function_configuration, FunctionName=name)
        if found is None:
            yield failed(f"{name} does not exist", deploy)
            continue
        state, update = found.get("State", "Active"), found.get("LastUpdateStatus", "Successful")
        if state not in ("Active", "Inactive"):
            yield failed(f"{name} is {state}: {found.get('StateReason', 'no reason given')}", deploy)
        if update == "Failed":
            reason = found.get("LastUpdateStatusReason", "no reason given")
            yield failed(f"the last update of {name} failed: {reason}", deploy)
        if found["Runtime"] != runtime:
            yield warned(f"{name} runs {found['Runtime']}, lambda_runtime = {runtime}", deploy)
