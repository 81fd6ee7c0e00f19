"""Recording what people decide, once and for good."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from consent.models import ConsentDecision
from consent.rules import DecisionKind
from consent.selectors.subjects import SubjectErasedError
from consent.services import decisions, notices, subjects
from governance.models import LedgerRecord
from tests.factories.consent import NOON, NoticeVersionFactory, registered
from tests.factories.governance import PurposeFactory

pytestmark = pytest.mark.django_db


def asked(**changed):
    """Return the arguments of one decision."""
    said = {
        "subject": registered(), "purpose": PurposeFactory(),
        "kind": DecisionKind.GIVEN, "decided_at": NOON, "key": uuid4(),
    }  # fmt: skip
    return said | changed


def in_ledger() -> int:
    return LedgerRecord.objects.filter(kind="decision.recorded").count()


def test_a_decision_is_recorded_with_the_database_s_own_time_and_in_the_ledger():
    said = asked()
    recorded = decisions.record(**said)
    kept = ConsentDecision.objects.get()
    assert (recorded.decision, recorded.replayed) == (kept, False)
    assert (kept.kind, kept.decided_at, kept.source) == ("given", NOON, "person")
    assert timedelta(0) <= timezone.now() - kept.recorded_at < timedelta(minutes=1)
    record = LedgerRecord.objects.get(kind="decision.recorded")
    assert record.sealed_for == said["subject"].uuid
    body = subjects.key_of(said["subject"]).open(bytes(record.sealed), str(record.uuid))
    assert str(kept.uuid).encode() in body


def test_the_same_key_and_facts_again_return_the_first_outcome():
    said = asked()
    first = decisions.record(**said)
    again = decisions.record(**said)
    assert (again.decision, again.replayed) == (first.decision, True)
    assert (ConsentDecision.objects.count(), in_ledger()) == (1, 1)


@pytest.mark.parametrize(
    "changed",
    [
        {"kind": DecisionKind.WITHDRAWN},
        {"decided_at": NOON + timedelta(seconds=1)},
        {"source": "import"},
        {"valid_until": NOON + timedelta(days=1)},
    ],
)
def test_reusing_a_key_for_another_decision_is_refused_and_changes_nothing(changed):
    said = asked()
    decisions.record(**said)
    with pytest.raises(decisions.IdempotencyKeyReusedError) as refused:
        decisions.record(**said | changed)
    assert (refused.value.code, refused.value.status) == ("idempotency_key_reused", 409)
    assert ConsentDecision.objects.get().kind == "given"
    assert in_ledger() == 1


def test_two_people_may_use_the_same_key():
    key = uuid4()
    made = [decisions.record(**asked(key=key)).decision for _ in range(2)]
    assert made[0] != made[1]


def test_a_decision_from_the_future_is_refused_but_a_clock_may_be_a_little_fast():
    now = timezone.now()
    decisions.record(**asked(decided_at=now + timedelta(minutes=4)))
    with pytest.raises(decisions.DecidedInTheFutureError) as refused:
        decisions.record(**asked(decided_at=now + timedelta(minutes=6)))
    assert (refused.value.code, refused.value.status) == ("decided_in_the_future", 422)
    assert (ConsentDecision.objects.count(), in_ledger()) == (1, 1)


@pytest.mark.parametrize(
    ("kind", "days"), [(DecisionKind.REFUSED, 1), (DecisionKind.GIVEN, 0), (DecisionKind.GIVEN, -1)]
)
def test_only_a_yes_runs_out_and_after_it_was_said(kind, days):
    with pytest.raises(decisions.ValidityImpossibleError):
        decisions.record(**asked(kind=kind, valid_until=NOON + timedelta(days=days)))
    assert (ConsentDecision.objects.count(), in_ledger()) == (0, 0)


def test_nobody_can_have_seen_a_draft():
    said = asked(notice_version=NoticeVersionFactory())
    with pytest.raises(decisions.NoticeNotPublishedError):
        decisions.record(**said)


def test_a_notice_covers_only_the_purposes_that_it_names():
    text = NoticeVersionFactory()
    said = asked(notice_version=text)
    text.purposes.add(said["purpose"])
    said["notice_version"] = notices.publish(uuid=text.uuid)
    assert decisions.record(**said).decision.notice_version == text
    with pytest.raises(decisions.NoticeWithoutPurposeError):
        decisions.record(**said | {"key": uuid4(), "purpose": PurposeFactory()})


def test_an_erased_person_decides_nothing():
    said = asked()
    subjects.forget(subject=said["subject"])
    with pytest.raises(SubjectErasedError):
        decisions.record(**said)
    assert (ConsentDecision.objects.count(), in_ledger()) == (0, 0)


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.update(kind="refused"),
        lambda found: found._raw_delete(found.db),
    ],
)
def test_the_database_refuses_to_change_or_delete_a_decision(change):
    decisions.record(**asked())
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        change(ConsentDecision.objects.all())
    assert refused.value.__cause__.sqlstate == "23001"
    assert ConsentDecision.objects.get().kind == "given"


@pytest.mark.django_db(transaction=True)
def test_sixteen_callers_with_one_key_record_one_decision():
    said = asked()

    def record(_: int) -> decisions.Recorded:
        try:
            return decisions.record(**said)
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(record, range(16)))
    assert len({each.decision.pk for each in outcomes}) == 1
    assert sum(not each.replayed for each in outcomes) == 1
    assert (ConsentDecision.objects.count(), in_ledger()) == (1, 1)


@pytest.mark.parametrize("source", ["guardian", "delegate", "operator"])
def test_whoever_speaks_for_somebody_says_by_which_right_and_it_is_sealed(source):
    said = asked(source=source)
    with pytest.raises(decisions.ReasonMissingError):
        decisions.record(**said)
    kept = decisions.record(**said, reason="mandate of Ann Reader").decision
    key = subjects.key_of(said["subject"])
    assert decisions.reason_of(kept, key) == "mandate of Ann Reader"
    assert b"Ann" not in bytes(kept.reason_sealed)
    assert decisions.record(**said, reason="mandate of Ann Reader").replayed
    with pytest.raises(decisions.IdempotencyKeyReusedError):
        decisions.record(**said, reason="another")
    assert ConsentDecision.objects.count() == 1


def test_what_is_said_of_many_purposes_is_recorded_at_once_or_not_at_all():
    person, purposes = registered(), [PurposeFactory() for _ in range(5)]

    def said(number, **other):
        facts = {"kind": DecisionKind.OBJECTED, "decided_at": NOON, "key": uuid4()}
        return decisions.Said(purpose=purposes[number], **facts | other)

    def asked_for(things):
        with CaptureQueriesContext(connection) as asking:
            found = decisions.record_each(subject=person, said=things)
        return found, len(asking)

    first, cost = asked_for([said(0)])
    more = [said(number) for number in range(5)]
    found, cost_of_five = asked_for(more)
    assert cost_of_five == cost
    assert [each.decision.purpose for each in found] == purposes
    before = (ConsentDecision.objects.count(), in_ledger())
    again = decisions.record_each(subject=person, said=[*more[1:], more[0]])
    assert [each.replayed for each in again] == [True] * 5
    assert [each.decision for each in again] == [each.decision for each in [*found[1:], found[0]]]
    with pytest.raises(decisions.IdempotencyKeyReusedError):
        decisions.record_each(
            subject=person, said=[said(2), said(3, key=first[0].decision.idempotency_key)]
        )
    assert (ConsentDecision.objects.count(), in_ledger()) == before == (6, 6)
