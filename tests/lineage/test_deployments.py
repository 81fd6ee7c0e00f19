"""Where model versions are in use: pipelines tell it in any order, as often as they like."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from governance.models import LedgerRecord
from lineage.models import Deployment, ModelVersion
from lineage.services import deployments
from tests.factories.events import at
from tests.factories.governance import issued_key
from tests.factories.training import train

pytestmark = pytest.mark.django_db


@pytest.fixture
def made() -> ModelVersion:
    train(None, reads=())
    return ModelVersion.objects.get()


def start(made, minutes=0.0, environment="prod") -> Deployment:
    return deployments.start(made=made, environment=environment, since=at(minutes)).deployment


def told() -> list[str]:
    kinds = LedgerRecord.objects.filter(kind__startswith="deployment.").order_by("pk")
    return list(kinds.values_list("kind", flat=True))


def test_a_start_that_is_told_twice_is_one_deployment(made):
    first = deployments.start(made=made, environment="prod", since=at(0))
    again = deployments.start(made=made, environment="prod", since=at(0))
    assert (first.created, again.created) == (True, False)
    assert again.deployment == first.deployment
    assert told() == ["deployment.started"]


def test_while_it_runs_another_start_in_the_same_place_is_the_same(made):
    first = start(made)
    assert start(made, 5) == first
    assert start(made, 5, "staging") != first
    assert Deployment.objects.count() == 2


def test_an_earlier_start_that_is_told_late_moves_the_beginning(made):
    first = start(made, 10)
    assert start(made, 4) == first
    assert Deployment.objects.get().since == at(4)


def test_a_start_repeated_after_the_end_brings_nothing_back(made):
    first = start(made)
    deployments.end(deployment=first, until=at(10))
    assert start(made) == first
    assert start(made, 5) == first
    assert not Deployment.objects.filter(until=None).exists()
    second = start(made, 10)
    assert second != first
    assert second.until is None


def test_the_first_end_stays(made):
    first = start(made)
    deployments.end(deployment=first, until=at(10))
    deployments.end(deployment=first, until=at(20))
    assert Deployment.objects.get().until == at(10)
    assert told() == ["deployment.started", "deployment.ended"]


def test_nothing_ends_before_it_began_or_in_the_future(made):
    first = start(made, 5)
    tomorrow = timezone.now() + timedelta(days=1)
    with pytest.raises(deployments.DeploymentTimesError):
        deployments.end(deployment=first, until=at(1))
    with pytest.raises(deployments.InstantInTheFutureError):
        deployments.end(deployment=first, until=tomorrow)
    with pytest.raises(deployments.InstantInTheFutureError):
        deployments.start(made=made, environment="x", since=tomorrow)
    assert told() == ["deployment.started"]


def caller(*scopes, **more) -> Client:
    return Client(headers={"Authorization": f"Bearer {issued_key(*scopes, **more)}"})


def post(browser, path, **body):
    return browser.post(f"/api/v1/deployments{path}", body, content_type="application/json")


def test_pipelines_announce_and_auditors_read(made):
    pipeline, auditor = caller("lineage:write"), caller("audit:read")
    said = {"model_version": str(made.uuid), "environment": "prod", "since": at(0).isoformat()}
    first, again = post(pipeline, "", **said), post(pipeline, "", **said)
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    ended = post(pipeline, f"/{first.json()['uuid']}/end", until=at(3).isoformat())
    assert ended.json()["until"] == "2026-06-01T12:03:00Z"
    assert (
        post(pipeline, f"/{first.json()['uuid']}/end", until=at(-3).isoformat()).json()["code"]
        == "deployment_times_reversed"
    )
    asked = {"model_version": made.uuid}
    assert auditor.get("/api/v1/deployments", asked).json()["results"] == [ended.json()]
    running = auditor.get("/api/v1/deployments", {**asked, "state": "running"}).json()
    assert running["results"] == []
    assert post(auditor, "", **said).status_code == 403


def test_a_key_of_another_namespace_announces_nothing(made):
    stranger = caller("lineage:write", namespaces=("other",))
    said = {"model_version": str(made.uuid), "environment": "prod", "since": at(0).isoformat()}
    answer = post(stranger, "", **said)
    assert (answer.status_code, answer.json()["code"]) == (403, "namespace_denied")
    mine = start(made)
    answer = post(stranger, f"/{mine.uuid}/end", until=at(1).isoformat())
    assert answer.json()["code"] == "namespace_denied"
    assert Deployment.objects.get().until is None


def test_impossible_rows_are_refused(made):
    first = start(made)
    rows = Deployment.objects
    impossible = {
        "lineage_deployment_once": lambda: rows.create(
            model_version=made, environment="prod", since=at(0), until=at(1), ended_at=at(1)
        ),
        "lineage_deployment_runs_once": lambda: rows.create(
            model_version=made, environment="prod", since=at(9)
        ),
        "lineage_deployment_ends_after_it_began": lambda: rows.update(
            until=first.since - timedelta(1), ended_at=at(1)
        ),
        "lineage_deployment_end_was_told": lambda: rows.update(until=at(9)),
        "lineage_deployment_is_somewhere": lambda: rows.update(environment=""),
    }
    assert set(impossible) == {each.name for each in Deployment._meta.constraints}
    for constraint, change in impossible.items():
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            change()
