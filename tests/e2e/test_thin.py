"""Thin events through the deployed pipeline: from the bus to the API, with the object fetched from Stripe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from functions.shared import names
from ops.local import drive
from ops.local.deployment import EVENT_SOURCE
from ops.reference.stripe import ReferenceStripe
from tests.e2e.pipeline import Pipeline, fresh, sample, wait_for
from tests.unit import snapshots


@pytest.fixture
def fetching(pipeline: Pipeline, stripe: ReferenceStripe) -> Iterator[ReferenceStripe]:
    """Let the deployed handlers ask this Stripe."""
    functions = pipeline.deployment.services.aws.client("lambda")
    before = {}
    for handler in names.HANDLERS:
        name = pipeline.deployment.outputs.functions[handler]
        variables = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        before[name] = variables
        functions.update_function_configuration(
            FunctionName=name, Environment={"Variables": {**variables, "STRIPE_API_URL": stripe.url}}
        )
    yield stripe
    for name, variables in before.items():
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": variables})


@pytest.mark.parametrize("generation", ["acacia", "current"])
@pytest.mark.parametrize("name", ["payment_intent.succeeded", "customer.subscription.updated"])
def test_twins_are_applied_once_and_both_are_audited(
    pipeline: Pipeline, fetching: ReferenceStripe, name: str, generation: str
) -> None:
    snapshot = fresh(sample(generation, name), f"evt_e2eThin{generation}{name.replace('.', '')}")
    detail = snapshot["detail"]
    fetching.put(detail["data"]["object"])
    thin = snapshots.thin(snapshot)
    drive.send(pipeline.deployment.services.aws, EVENT_SOURCE, [thin])
    wait_for(lambda: pipeline.outcomes(detail["id"]) == ["applied"], "the thin event is applied")
    drive.send(pipeline.deployment.services.aws, EVENT_SOURCE, [snapshot])
    wait_for(
        lambda: pipeline.outcomes(detail["id"]) == ["applied", "duplicate"], "the snapshot event is skipped"
    )
    both = {detail["id"], thin["detail"]["id"]}
    wait_for(lambda: both <= pipeline.observer.look().ledger.keys(), "both are in the ledger")
    requests = [each for each in pipeline.observer.look().requests if each.event_id == detail["id"]]
    assert [each.status for each in requests] == [200]
    assert requests[0].headers["X-Stripe-Event-Type"] == name
