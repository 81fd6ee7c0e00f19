"""What was done about a model counts when a person at the desk stands for it, and no key can."""

from importlib import import_module
from uuid import uuid4

import pytest
from django.contrib.auth import get_user_model
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from consent.models import DryRun, RemediationMeasure, RequestRecord
from consent.selectors import queues, remedies
from consent.services import looking
from governance.keys import organisation_key
from governance.selectors.ledger import opened
from governance.services import ledger
from lineage.models import ModelVersion
from lineage.services import deployments
from tests.factories import plans
from tests.factories.desk import colleague, read
from tests.factories.remedies import (
    DIGEST,
    EVIDENCE,
    approve,
    asked,
    client,
    library,
    standing,
    take,
)
from tests.factories.training import facet, train

pytestmark = pytest.mark.django_db

MIGRATION = import_module("consent.migrations.0029_measures_need_a_person")


@pytest.fixture
def request_(db):
    library()
    train(facet())
    return asked()


@pytest.fixture
def olga(db) -> Client:
    return colleague()


def at(measure, more: str = "") -> str:
    return f"/desk/measures/{measure.uuid}{more}"


def waiting() -> list[RemediationMeasure]:
    return list(remedies.to_approve())


def test_the_desk_counts_lists_and_shows_what_waits_for_a_person(request_, olga):
    assert "0 Measures to stand for" in read(olga, "/desk")
    assert "Nothing waits here." in read(olga, "/desk/measures")
    measure = take(request_, "unlearn_certified")
    assert "1 Measures to stand for" in read(olga, "/desk")
    listed = olga.get("/desk/measures").content.decode()
    assert f'href="{at(measure)}"' in listed
    assert "Unlearned by a certified method." in listed
    page = read(olga, at(measure))
    for words in (
        "by eva with a key", "Method gradient ascent", "Parameters, steps 100",
        "Parameters, rate 1e-05", f"Forget set sha256 {DIGEST}", "Test, before 0.9",
        "Test, after 0.51", f"SHA-256 of what it shows: {measure.digest()}",
        "The model Not made good yet",
    ):  # fmt: skip
        assert words in page
    assert f'href="{at(measure)}"' in olga.get("/desk/models").content.decode()


def test_whoever_presses_stands_for_it_by_name_once(request_, olga):
    measure = take(request_, "exempt_legal")
    answer = olga.post(at(measure, "/approve"), follow=True)
    assert "You stand for it, and the ledger knows that you do." in answer.content.decode()
    user = get_user_model().objects.get(username="olga")
    measure.refresh_from_db()
    assert (measure.approved_by, measure.approved_by_staff) == (None, f"staff:{user.pk}")
    assert (standing(request_).state, standing(request_).outcome) == ("closed", "exempt")
    page = read(olga, at(measure))
    assert "by olga The model Made good" in page
    assert "Stand for it" not in page
    assert waiting() == []
    while ledger.sequence():
        pass
    told = RequestRecord.objects.get(kind="remediation.measure_approved")
    facts = opened(told.record, organisation_key())["facts"]
    assert (facts["by"], facts["measure"]) == (f"staff:{user.pk}", str(measure.uuid))
    again = colleague("max").post(at(measure, "/approve"))
    assert (again.status_code, "does not hold any more" in again.content.decode()) == (409, True)
    measure.refresh_from_db()
    assert measure.approved_by_staff == f"staff:{user.pk}"


def test_only_staff_may_read_and_press_and_only_by_the_form(request_, olga):
    measure = take(request_, "exempt_legal")
    guest = colleague("gus", is_staff=False)
    for path in ("/desk/measures", at(measure)):
        assert Client().get(path).headers["Location"] == f"/admin/login/?next={path}"
        assert guest.get(path).status_code == 403
    assert Client().post(at(measure, "/approve")).status_code == 302
    assert guest.post(at(measure, "/approve")).status_code == 403
    assert olga.get(at(measure, "/approve")).status_code == 405
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(get_user_model().objects.get(username="olga"))
    assert strict.post(at(measure, "/approve")).status_code == 403
    for path in (f"/desk/measures/{uuid4()}", f"/desk/measures/{uuid4()}/approve"):
        assert (olga.post if path.endswith("approve") else olga.get)(path).status_code == 404
    measure.refresh_from_db()
    assert (measure.approved_by_staff, measure.approved_at) == ("", None)
    assert waiting() == [measure]


def test_what_no_word_would_help_does_not_wait_for_one(request_):
    take(request_, "unlearn_approximate")
    assert waiting() == []
    retired = take(request_, "retire")
    legal = take(request_, "exempt_legal")
    assert waiting() == [retired, legal]
    made = ModelVersion.objects.get()
    place = deployments.start(made=made, environment="prod", since=timezone.now()).deployment
    assert waiting() == [legal], "where it is in use can be seen"
    deployments.end(deployment=place, until=timezone.now())
    assert (standing(request_).outcome, waiting()) == ("retired", [])


def test_the_queue_says_since_when_and_until_when(request_):
    measure = take(request_, "exempt_legal")
    [found] = [each for each in queues.queues() if each.kind == "measures"]
    assert (found.name, found.count) == ("unapproved", 1)
    assert (found.oldest_at, found.due_at) == (measure.taken_at, request_.due_at)


def test_the_database_lets_no_client_be_the_second(request_):
    measure = take(request_, "exempt_legal")
    mine = RemediationMeasure.objects.filter(pk=measure.pk)
    with pytest.raises(IntegrityError) as broken, transaction.atomic():
        mine.update(approved_by=client("max"), approved_at=timezone.now())
    assert broken.value.__cause__.diag.constraint_name == "consent_measure_second_is_a_person"
    with pytest.raises(IntegrityError) as broken, transaction.atomic():
        RemediationMeasure.objects.create(
            remediation=measure.remediation, idempotency_key=uuid4(), kind="retire", evidence={},
            by=measure.by, approved_by=client("max"), approved_at=timezone.now(),
        )  # fmt: skip
    assert broken.value.__cause__.diag.constraint_name == "consent_measure_second_is_a_person"
    for who in ("client:1", "olga", "staff"):
        with pytest.raises(IntegrityError) as broken, transaction.atomic():
            mine.update(approved_by_staff=who, approved_at=timezone.now())
        named = broken.value.__cause__.diag.constraint_name
        assert named == "consent_measure_approved_by_another"
    assert standing(request_).state == "unapproved"


def as_before(measure: RemediationMeasure) -> None:
    """Let a second client have stood for it, as an earlier version did."""
    with connection.cursor() as cursor:
        cursor.execute(MIGRATION.ALLOW)
        RemediationMeasure.objects.filter(pk=measure.pk).update(
            approved_by=client("max"), approved_at=timezone.now()
        )
        cursor.execute(MIGRATION.REFUSE)


def test_what_two_clients_stood_for_before_stays_as_it_is(request_, olga):
    measure = take(request_, "exempt_legal")
    as_before(measure)
    assert (standing(request_).state, waiting()) == ("closed", [])
    RemediationMeasure.objects.update(checked_at=timezone.now())
    measure.refresh_from_db()
    assert measure.second == f"client:{client('max').uuid}"
    assert "by max" in read(olga, at(measure))
    with pytest.raises(IntegrityError), transaction.atomic():
        RemediationMeasure.objects.update(approved_by=client("ida"))


def test_going_back_to_an_earlier_version_leaves_no_word_that_it_does_not_know(request_):
    first, second = take(request_, "exempt_legal"), take(request_, "unlearn_certified")
    as_before(first)
    approve(second)
    with connection.cursor() as cursor:
        cursor.execute(MIGRATION.FORGET)
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.approved_at is None, second.approved_at, second.approved_by_staff) == (
        False, None, "",
    )  # fmt: skip


def test_lost_workers_of_earlier_dry_runs_have_the_code_of_all_others(tmp_path):
    plans.lake(tmp_path)
    plans.reviewed()
    request = plans.asked()
    looking.ask(request=request, by="staff:1")
    lost, other = DryRun.objects.order_by("pk")[:2]
    for each, code in ((lost, "worker_lost"), (other, "storage_missing")):
        DryRun.objects.filter(pk=each.pk).update(code=code, finished_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(MIGRATION.SAY_ALIKE)
    codes = DryRun.objects.exclude(code="").order_by("pk").values_list("code", flat=True)
    assert list(codes) == ["workers_lost", "storage_missing"]


def test_evidence_is_read_member_by_member():
    from consent.desk.words import evidence

    assert evidence(EVIDENCE["retire"]) == [
        ("reason", "replaced"), ("artifacts 1, name", "weights"),
        ("artifacts 1, receipt", "deleted 4711"),
    ]  # fmt: skip
    assert evidence({}) == []
