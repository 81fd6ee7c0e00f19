"""Old months of runs go, and nothing that is asked about models changes."""

import json
from datetime import date, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone

from governance.models import Dataset
from lineage.models import (
    DatasetVersion,
    InboxEvent,
    KeptEdge,
    ModelVersion,
    Provenance,
    Run,
    RunEvent,
    RunFacet,
    RunInput,
)
from lineage.selectors import ancestry, horizon, transparency
from lineage.services.inbox import accept
from lineage.services.retention import drop_months_before, expire_bodies
from tests.factories.auditor import Auditor
from tests.factories.events import at, dataset, event, run
from tests.lineage.conftest import made_from, models_using

pytestmark = pytest.mark.django_db

MODEL = dataset("model", model=True)
DAYS = 24 * 60
JULY = date(2026, 7, 1)


@pytest.fixture
def story(send):
    """In June data is gathered, masked in part, and a model trained; in July another one."""
    masked = dataset("features", columns={"x": [("raw", "x", True)], "y": [("raw2", "y", False)]})
    send(run("ingest", 0, 1, reads=["source"], writes=["raw"], processing_engine={"version": "1"}))
    send(run("prepare", 2, 3, reads=["raw", "raw2"], writes=[masked]))
    send(run("train", 4, 5, reads=["features"], writes=[MODEL], run="june"))
    late = 35 * DAYS
    send(run("train", late, late + 1, reads=["features", "new"], writes=[MODEL], run="july"))


def answers():
    made = ModelVersion.objects.order_by("pk")
    return (
        [made_from("model"), models_using_keys("source"), models_using_keys("raw")],
        [[(d.name, str(c)) for d, c in transparency.datasets_in(each)] for each in made],
        [bytes(each.digest) for each in Provenance.objects.order_by("model_version")],
    )


def models_using_keys(name):
    found = transparency.models_using(transparency.dataset_named("test", name))
    return [(use.model_version.pk, str(use.certainty)) for use in found]


def test_the_months_that_are_kept_are_shown(story):
    assert [(each.month, each.runs) for each in horizon.months()] == [
        (date(2026, 6, 1), 3), (JULY, 1),
    ]  # fmt: skip


def test_dropping_a_month_changes_no_answer(story):
    before = answers()
    [gone] = drop_months_before(JULY)
    assert (gone.month, gone.runs) == (date(2026, 6, 1), 3)
    assert answers() == before
    assert [Run.objects.count(), RunInput.objects.count(), RunFacet.objects.count()] == [1, 2, 0]
    assert RunEvent.objects.count() == 2
    assert DatasetVersion.objects.filter(kind="written").count() == 4
    assert KeptEdge.objects.filter(masked=True).count() == 1


def test_what_lies_downstream_is_still_found(story):
    def below(name):
        start = transparency.dataset_named("test", name)
        found = ancestry.descendants([start.pk]).dataset_ids
        return sorted(Dataset.objects.filter(pk__in=found).values_list("name", flat=True))

    assert below("source") == ["features", "model", "raw", "source"]
    drop_months_before(JULY)
    assert below("source") == ["features", "model", "raw", "source"]


def test_what_is_computed_again_after_the_drop_is_the_same(story, send):
    before = answers()
    drop_months_before(JULY)
    ModelVersion.objects.update(stale_at=timezone.now())
    send([])
    assert answers() == before


def test_a_model_whose_run_is_gone_is_still_told(story, client):
    drop_months_before(JULY)
    first = ModelVersion.objects.earliest("pk")
    assert first.version.run_id is not None
    asked = '{ modelsUsing(namespace: "test", name: "source") { nodes { certainty } } }'
    assert len(Auditor().ask(asked)["modelsUsing"]["nodes"]) == 2
    auditor = {"Authorization": f"Bearer {Auditor('other').bearer}"}
    question = {"namespace": "test", "name": "source"}
    told = client.get("/api/v1/transparency/models", question, headers=auditor)
    assert told.status_code == 200
    states = [use["model_version"]["run_state"] for use in told.json()["results"]]
    assert states == ["COMPLETE", "HEARD_OF"]


def test_a_late_event_about_a_month_that_is_gone_is_refused(story, send):
    drop_months_before(JULY)
    before = answers()
    send([event("COMPLETE", "other", 3, reads=["raw"], writes=["features"])])
    dead = InboxEvent.objects.get(state="dead")
    assert (dead.reason_code, dead.reason) == (
        "before_horizon", "runs are kept from July 2026 on, and the event is older",
    )  # fmt: skip
    assert answers() == before


def test_the_past_before_the_horizon_cannot_be_asked(story):
    now = models_using("source", as_of=at(40 * DAYS))
    drop_months_before(JULY)
    with pytest.raises(horizon.BeforeHorizonError):
        models_using("source", as_of=at(10))
    left = transparency.models_using(
        transparency.dataset_named("test", "source"), as_of=at(40 * DAYS)
    )
    assert len(left) == len(now) == 2


def test_raw_bodies_expire_and_a_repeat_is_still_a_repeat(send, key):
    said = event("COMPLETE", "train", 0)
    send([said])
    assert expire_bodies(older_than=timedelta(days=1)) == 0
    InboxEvent.objects.update(received_at=timezone.now() - timedelta(days=2))
    assert expire_bodies(older_than=timedelta(days=1)) == 1
    assert bytes(InboxEvent.objects.get().body_sealed) == b""
    [receipt] = accept(key=key, events=[said])
    assert (receipt.created, receipt.code) == (False, "")
    assert InboxEvent.objects.count() == 1


def test_a_dry_run_changes_nothing(story):
    before = answers()
    out = StringIO()
    call_command("retention", "--drop-months-before", "2026-07", "--dry-run", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert [each["month"] for each in told["going"]] == ["2026-06"]
    assert (Run.objects.count(), horizon.horizon()) == (4, None)
    assert answers() == before


def test_the_command_drops(story):
    call_command("retention", "--drop-months-before", "2026-07", stdout=StringIO())
    assert [each.month for each in horizon.months()] == [JULY]
