"""What waits is found among the few requests that are under way, however many have ended."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consent.models import RemediationMeasure, RightsRequest
from consent.selectors import access, queues, request_lists, requests
from consent.selectors.request_lists import with_state
from consent.selectors.requests import ENDED, RequestState
from tests.factories.consent import SubjectFactory
from tests.factories.desk import colleague
from tests.factories.portal import text_of
from tests.factories.remedies import approve, asked, by_hand, library, look, take
from tests.factories.rights import ask
from tests.factories.training import facet, train

pytestmark = pytest.mark.django_db

ENDED_ONES = """
    INSERT INTO consent_rightsrequest
        (uuid, subject_id, kind, idempotency_key, received_at, due_at, verified_at, planned_at,
         forgotten_at, observed_at, completion_recorded_at, refusal_code)
    SELECT gen_random_uuid(), %s, 'erasure', gen_random_uuid(), now() - interval '1 year',
           now() - i * interval '1 hour', now(), now(), now(), now(), now(), ''
      FROM generate_series(1, 4000) AS i
"""


@pytest.fixture
def many_have_ended(db) -> None:
    with connection.cursor() as cursor:
        cursor.execute(ENDED_ONES, [SubjectFactory().pk])


LOOKS = {
    "the desk's numbers": queues.queues,
    "a list at the desk": lambda: list(queues.requests_in(RequestState.VERIFIED)[:25]),
    "what is overdue": lambda: list(request_lists.listed(overdue=True)[:25]),
    "what is to be planned": lambda: list(requests.to_plan()[:200]),
    "what is to be observed": lambda: list(requests.to_observe()[:200]),
    "what a copy is to be made of": lambda: list(access.to_prepare()[:200]),
    "what is to be reminded of": lambda: list(request_lists.to_remind()[:200]),
}


def test_nothing_looks_at_all_that_have_ended(many_have_ended):
    library()
    asked()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE consent_rightsrequest, consent_erasurestep, consent_remediation")
    for name, look_for in LOOKS.items():
        with CaptureQueriesContext(connection) as asked_for:
            look_for()
        for query in asked_for.captured_queries:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {query['sql']}")
                plan = "\n".join(row[0] for row in cursor.fetchall())
            assert "Seq Scan on consent_rightsrequest" not in plan, f"{name}: {plan}"
            assert "consent_request_by_due_date" not in plan, f"{name}: {plan}"


def counted() -> dict[str, int]:
    return {e.name: e.count for e in queues.queues() if e.kind == "requests" and e.count}


def test_those_under_way_are_counted_and_listed_and_no_other(many_have_ended):
    ask("access")
    ask("portability", verified=False)
    assert counted() == {"verified": 1, "received": 1}
    [listed] = queues.requests_in(RequestState.VERIFIED)
    assert (listed.kind, listed.state) == ("access", "verified")
    assert queues.requests_in(RequestState.COMPLETED).count() == 4000
    assert "1 Being planned" in text_of(colleague().get("/desk").content)


def completed() -> RightsRequest:
    """Return an erasure that a measure with an end has completed."""
    library()
    train(facet())
    request = asked()
    approve(take(request, "exempt_legal"))
    by_hand(request)
    look(request)
    request.refresh_from_db()
    assert request.completion_recorded_at is not None
    assert counted() == {}
    return request


def measure_ends() -> None:
    """Let the measure have been taken earlier, and end now."""
    now = timezone.now()
    RemediationMeasure.objects.update(
        taken_at=now - timedelta(days=2), ends_at=now - timedelta(seconds=1)
    )


def test_a_complete_one_is_listed_as_soon_as_a_measure_has_ended():
    request = completed()
    measure_ends()
    assert counted() == {"verifying": 1}
    assert list(queues.requests_in(RequestState.VERIFYING)) == [request]
    assert list(requests.to_observe()) == [request]


def test_a_complete_one_is_listed_as_soon_as_a_step_is_open_again():
    request = completed()
    request.steps.update(state="ready", outcome="", finished_at=None)
    assert counted() == {"erasing": 1}


def test_whatever_has_not_ended_is_among_those_that_are_looked_at(many_have_ended):
    completed()
    measure_ends()
    for kind in ("access", "rectification", "objection", "restriction"):
        ask(kind)
    open_ones = with_state().exclude(state__in=[each.value for each in ENDED])
    looked_at = RightsRequest.objects.filter(pk__in=request_lists.perhaps_open())
    assert open_ones.count() == 3
    assert set(open_ones) <= set(looked_at)
