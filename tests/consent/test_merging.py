"""Rows that turn out to be one person, and rows that turn out not to be."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from uuid import uuid4

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pyroaring import BitMap

from consent.models import (
    ConsentDecision,
    RightsRequest,
    StandingPending,
    Subject,
    SubjectIdentifier,
    SubjectKey,
    SubjectMerge,
    Unweighed,
)
from consent.rules import DecisionKind, Standing
from consent.selectors import decisions as selectors
from consent.selectors import gate, persons, plans, subjects
from consent.services import decisions, merging, planning, standings
from consent.services import gate as asking
from consent.services import subjects as people
from consent.services.decisions import IdempotencyKeyReusedError, ReasonMissingError
from consent.services.requests import open_erasure
from governance.errors import ColophonError
from governance.models import (
    ApiClient,
    LedgerRecord,
    WebhookDelivery,
    WebhookKind,
    WebhookMessage,
)
from governance.selectors import ledger as read
from governance.services import webhooks
from tests.factories.consent import SubjectFactory, registered, take
from tests.factories.governance import DatasetFactory, PurposeFactory

pytestmark = pytest.mark.django_db
ADA, CARD, OLD = ("email", "ada@example.org"), ("card", "A-1"), ("email", "ada@old.example")
NOW = timezone.now


@pytest.fixture
def study():
    return PurposeFactory(key="study")


def merged(one: Subject, other: Subject, **said) -> SubjectMerge:
    facts = {"key": uuid4(), "reason": "she wrote from both"} | said
    return merging.merge(subject=one, other=other, **facts).merge


def parted(merge: SubjectMerge) -> SubjectMerge:
    return merging.undo(merge=merge, reason="a namesake").merge


def three() -> list[Subject]:
    return [registered(each) for each in (ADA, CARD, OLD)]


def says(subject, purpose, kind, days_ago=1.0, **more) -> ConsentDecision:
    return decisions.record(
        subject=subject, purpose=purpose, kind=DecisionKind(kind), key=uuid4(),
        decided_at=NOW() - timedelta(days=days_ago), **more,
    ).decision  # fmt: skip


def left_out(purpose, *subjects: Subject, at=None) -> set[int]:
    return set(selectors.excluded_from([each.pk for each in subjects], purpose, at or NOW()))


def standing_of(subject, purpose) -> Standing:
    return selectors.standing(subject, purpose, NOW())


def test_a_person_is_all_rows_that_merges_reach_and_undoing_one_parts_what_it_joined():
    ada, card, old = three()
    merged(ada, card)
    bridge = merged(old, card)
    stranger = registered()
    for each in (ada, card, old):
        assert persons.rows_of(each) == [ada.pk, card.pk, old.pk]
    assert persons.rows_of(stranger) == [stranger.pk]
    assert persons.count(BitMap([ada.pk, old.pk, stranger.pk])) == 2
    parted(bridge)
    assert persons.rows_of(card) == [ada.pk, card.pk]
    assert persons.rows_of(old) == [old.pk]


def test_of_very_many_the_joined_are_found_as_of_few(monkeypatch):
    ada, card, old = three()
    merged(ada, card)
    parted(merged(old, card))
    asked = [ada.pk, old.pk]
    few = persons.several(asked)
    monkeypatch.setattr(persons, "FEW", 1)
    assert few == persons.several(asked) == persons.several() == [BitMap([ada.pk, card.pk])]
    assert persons.several([old.pk, old.pk + 9]) == []


def test_nothing_that_was_bound_to_a_row_moves(study):
    ada, card, _ = three()
    says(ada, study, "given")
    take(DatasetFactory(), ["A-1"], scheme="card")
    tables = (ConsentDecision, SubjectIdentifier, SubjectKey, Subject)
    before = [list(table.objects.order_by("pk").values()) for table in tables]
    parted(merged(ada, card))
    assert [list(table.objects.order_by("pk").values()) for table in tables] == before


def test_joining_what_is_joined_is_refused_and_changes_nothing():
    ada, card, old = three()
    merged(ada, card)
    merged(card, old)
    before = (SubjectMerge.objects.count(), LedgerRecord.objects.count(), Unweighed.objects.count())
    for one, other in ((ada, card), (old, ada), (ada, ada)):
        with pytest.raises(merging.AlreadyOnePersonError) as refused:
            merged(one, other)
        assert (refused.value.code, refused.value.status) == ("already_one_person", 409)
    after = (SubjectMerge.objects.count(), LedgerRecord.objects.count(), Unweighed.objects.count())
    assert after == before


def test_the_same_key_and_facts_again_return_the_first_merge_though_it_was_undone():
    ada, card, old = three()
    key, reason = uuid4(), "she wrote from both"
    first = merging.merge(subject=ada, other=card, key=key, reason=reason)
    again = merging.merge(subject=card, other=ada, key=key, reason=reason)
    assert (first.replayed, again.replayed, again.merge) == (False, True, first.merge)
    parted(first.merge)
    assert merging.merge(subject=ada, other=card, key=key, reason=reason).replayed
    assert persons.rows_of(ada) == [ada.pk]
    for other, said in ((old, reason), (card, "another")):
        with pytest.raises(IdempotencyKeyReusedError):
            merging.merge(subject=ada, other=other, key=key, reason=said)
    assert SubjectMerge.objects.count() == 1


def test_undoing_twice_is_undoing_once():
    ada, card, _ = three()
    merge = merged(ada, card)
    first, told = parted(merge), LedgerRecord.objects.count()
    again = merging.undo(merge=merge, reason="another")
    assert (again.merge.undone_at, again.replayed) == (first.undone_at, True)
    assert LedgerRecord.objects.count() == told
    assert merged(ada, card) != merge, "who was parted can be joined anew"


@pytest.mark.parametrize("reason", ["", " "])
def test_a_merge_and_its_undoing_need_a_reason(reason):
    ada, card, _ = three()
    with pytest.raises(ReasonMissingError):
        merged(ada, card, reason=reason)
    merge = merged(ada, card)
    with pytest.raises(ReasonMissingError):
        merging.undo(merge=merge, reason=reason)
    assert persons.rows_of(ada) == [ada.pk, card.pk]


def test_who_is_not_registered_is_not_merged():
    with pytest.raises(people.SubjectUnregisteredError):
        merged(registered(ADA), SubjectFactory())
    assert not SubjectMerge.objects.exists()


def test_the_ledger_tells_each_of_the_two_under_their_own_key_and_no_reason_is_readable():
    ada, card, _ = three()
    before = set(LedgerRecord.objects.values_list("pk", flat=True))
    merge = merged(ada, card)
    parted(merge)
    new = LedgerRecord.objects.exclude(pk__in=before).order_by("pk")
    assert [(each.kind, each.sealed_for) for each in new] == [
        ("subjects.merged", ada.uuid), ("subjects.merged", card.uuid),
        ("subjects.parted", ada.uuid), ("subjects.parted", card.uuid),
    ]  # fmt: skip
    opened = read.opening_of(new[1].uuid, subjects.key_of(card)).body.decode()
    assert all(str(each.uuid) in opened for each in (merge, ada, card))
    assert "she wrote" not in opened
    stored = SubjectMerge.objects.values_list("reason_sealed", "undo_reason_sealed").get()
    assert all(b"wrote" not in bytes(each) and b"namesake" not in bytes(each) for each in stored)


def test_the_last_word_of_any_row_counts_for_all_at_every_instant(study):
    ada, card, _ = three()
    says(ada, study, "given", 9)
    says(card, study, "refused", 5)
    merge = merged(ada, card)
    assert {standing_of(ada, study), standing_of(card, study)} == {Standing.REFUSED}
    assert left_out(study, ada, card) == {ada.pk, card.pk}
    assert left_out(study, ada) == {ada.pk}
    assert left_out(study, ada, card, at=NOW() - timedelta(days=7)) == set()
    assert [each.subject for each in selectors.history(card)] == [ada, card]
    parted(merge)
    assert (standing_of(ada, study), standing_of(card, study)) == ("given", "refused")
    assert left_out(study, ada, card) == {card.pk}
    assert left_out(study, ada, card, at=NOW() - timedelta(days=7)) == {card.pk}


def test_a_wider_no_on_one_row_stops_a_narrower_yes_on_the_other(study):
    inner = PurposeFactory(parent=study)
    ada, card, _ = three()
    says(ada, inner, "given", 9)
    says(card, study, "withdrawn", 5)
    for fold in (False, True):
        merge = merged(ada, card)
        if fold:
            standings.fold()
        assert left_out(inner, ada, card) == {ada.pk, card.pk}
        parted(merge)
        assert left_out(inner, ada, card) == {card.pk}


def test_what_is_gathered_is_right_at_once_after_a_merge_and_after_its_undoing(study):
    ada, card, old = three()
    for each, kind in ((ada, "given"), (card, "refused"), (old, "given")):
        says(each, study, kind)
    standings.fold()
    assert left_out(study, ada, card, old) == {card.pk}
    merge = merged(ada, card)
    for _ in range(2):
        assert left_out(study, ada, card, old) == {ada.pk, card.pk}
        standings.fold()
    assert not StandingPending.objects.exists()
    says(card, study, "given", 0)
    for _ in range(2):
        assert left_out(study, ada, card, old) == set()
        standings.fold()
    says(ada, study, "withdrawn", 0)
    parted(merge)
    for _ in range(2):
        assert left_out(study, ada, card, old) == {ada.pk}
        standings.fold()


def test_a_yes_that_runs_out_on_one_row_runs_out_for_the_person(study):
    ada, card, old = three()
    says(card, study, "given", valid_until=NOW() + timedelta(hours=1))
    merged(ada, card)
    standings.fold()
    assert left_out(study, ada, card, old) == {old.pk}
    assert left_out(study, ada, card, old, at=NOW() + timedelta(hours=2)) == {
        ada.pk, card.pk, old.pk,
    }  # fmt: skip


def test_the_gate_counts_persons_and_filters_every_identifier_of_them(study):
    ada, card, old = three()
    says(ada, study, "given", 3)
    says(card, study, "refused", 2)
    says(old, study, "given", 3)
    dataset = DatasetFactory(subject_column="who", subject_scheme="email", registered=True)
    take(dataset, ["ada@example.org", "ada@old.example"], scheme="email")
    take(dataset, ["A-1"], scheme="card")
    merged(ada, card)
    decision = asking.decide(datasets=[dataset], purpose=study)
    assert (decision.outcome, decision.excluded_count) == ("permit_with_exclusions", 1)
    values = ["ada@example.org", "ada@old.example"]
    assert gate.permitted(decision=decision, scheme="email", values=values) == [False, True]
    assert gate.permitted(decision=decision, scheme="card", values=["A-1"]) == [False]


def test_pipelines_are_told_of_every_purpose_that_one_of_the_two_denies(study, settings):
    settings.COLOPHON_PRIVATE_WEBHOOKS = True
    ada, card, _ = three()
    says(ada, study, "given")
    for key in ("a", "b"):
        says(card, PurposeFactory(key=key), "refused")
    client = ApiClient.objects.create(name="pipeline")
    kinds = [WebhookKind.PERMISSION_CHANGED]
    webhooks.register(client=client, url="http://127.0.0.1:9/", kinds=kinds)
    merge = merged(ada, card)
    told = WebhookMessage.objects.order_by("pk").values_list("about", "payload")
    assert list(told) == [("a", {"purpose": "a"}), ("b", {"purpose": "b"})]
    WebhookDelivery.objects.all().delete()
    parted(merge)
    assert [about for about, _ in told.all()] == ["a", "b", "a", "b"]


def test_identifiers_of_two_rows_name_one_person_once_they_are_merged_and_not_before():
    ada, card, _ = three()
    with pytest.raises(people.IdentifiersOfTwoPeopleError):
        registered(ADA, CARD)
    merge = merged(ada, card)
    before = SubjectIdentifier.objects.count()
    assert registered(CARD, ADA, ("card", "A-2")) == ada
    assert SubjectIdentifier.objects.count() == before + 1
    assert subjects.clear_identifiers(ada) == [("card", "A-2"), ADA]
    assert subjects.clear_identifiers(card) == [CARD]
    parted(merge)
    with pytest.raises(people.IdentifiersOfTwoPeopleError):
        registered(ADA, CARD)


def test_the_whole_person_is_forgotten_and_then_neither_merged_nor_parted():
    ada, card, old = three()
    merge = merged(ada, card)
    people.forget(subject=card)
    assert list(SubjectKey.objects.values_list("subject", flat=True)) == [old.pk]
    assert list(SubjectIdentifier.objects.values_list("subject", flat=True)) == [old.pk]
    erased = Subject.objects.filter(erased_at__isnull=False).order_by("pk")
    assert list(erased.values_list("pk", "erased_schemes")) == [
        (ada.pk, ["email"]), (card.pk, ["card"]),
    ]  # fmt: skip
    for what in (
        lambda: merged(old, ada),
        lambda: merged(card, old),
        lambda: parted(merge),
    ):
        with pytest.raises(people.SubjectErasedError) as refused:
            what()
        assert refused.value.status == 410
    assert SubjectMerge.objects.get().undone_at is None
    assert registered(ADA, again=True) not in {ada, card, old}


def test_who_is_being_erased_is_merged_only_before_that_is_planned_or_after_it_has_ended():
    ada, card, old = three()
    request = open_erasure(subject=ada, key=uuid4(), verified=True)
    merge = merged(ada, card)
    planning.plan(request.pk)
    for one, other in ((old, card), (ada, old)):
        with pytest.raises(merging.ErasureUnderWayError) as refused:
            merged(one, other)
        assert (refused.value.code, refused.value.status) == ("erasure_under_way", 409)
    parted(merge)
    assert merged(card, old).undone_at is None
    RightsRequest.objects.update(completion_recorded_at=NOW())
    assert merged(ada, old).undone_at is None


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return cursor.fetchone()[0] > 0


def in_threads(*what) -> list[object]:
    """Run each in a thread and connection of its own; return what it returned or raised."""

    def run(each):
        try:
            return each()
        except ColophonError as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(what)) as pool:
        return list(pool.map(run, what))


@pytest.mark.django_db(transaction=True)
def test_merges_at_once_never_make_a_ring():
    rows = three()
    pairs = [(0, 1), (1, 2), (2, 0), (1, 0), (2, 1), (0, 2)]
    done = in_threads(*(lambda a=a, b=b: merged(rows[a], rows[b]) for a, b in pairs))
    assert sum(isinstance(each, SubjectMerge) for each in done) == 2
    assert sum(isinstance(each, merging.AlreadyOnePersonError) for each in done) == 4
    assert persons.rows_of(rows[0]) == [each.pk for each in rows]


@pytest.mark.django_db(transaction=True)
def test_one_key_sent_many_times_at_once_merges_once():
    ada, card, _ = three()
    key = uuid4()
    done = in_threads(*(lambda: merged(ada, card, key=key) for _ in range(6)))
    assert done == [SubjectMerge.objects.get()] * 6


@pytest.mark.django_db(transaction=True)
def test_a_merge_while_the_other_is_forgotten_leaves_nobody_half_erased():
    for _ in range(5):
        ada, card = registered(), registered()
        in_threads(lambda: merged(ada, card), lambda: people.forget(subject=card))  # noqa: B023
        joined = SubjectMerge.objects.filter(other=card).exists()
        erased = Subject.objects.filter(pk__in=[ada.pk, card.pk], erased_at__isnull=False)
        assert set(erased.values_list("pk", flat=True)) == {ada.pk, card.pk} - (
            set() if joined else {ada.pk}
        )


@pytest.mark.django_db(transaction=True)
def test_a_merge_waits_for_a_plan_and_is_then_refused(monkeypatch):
    ada, card, _ = three()
    request = open_erasure(subject=ada, key=uuid4(), verified=True)
    reading, merging_ended, found = Event(), Event(), plans.drawn_of

    def slow(subjects, **said):
        reading.set()
        while not (somebody_waits() or merging_ended.wait(0.01)):
            pass
        return found(subjects, **said)

    monkeypatch.setattr(plans, "drawn_of", slow)

    def merges():
        assert reading.wait(20)
        try:
            return merged(ada, card)
        finally:
            merging_ended.set()

    planned, refused = in_threads(lambda: planning.plan(request.pk), merges)
    assert planned == 1
    assert isinstance(refused, merging.ErasureUnderWayError)


@pytest.mark.django_db(transaction=True)
def test_a_decision_that_is_recorded_during_a_merge_counts_for_both(monkeypatch):
    study, (ada, card, old) = PurposeFactory(), three()
    for each in (ada, old):
        says(each, study, "given", 2)
    standings.fold()
    merging_now, decided, tell = Event(), Event(), merging._tell

    def slow(*args):
        tell(*args)
        merging_now.set()
        assert decided.wait(20)

    monkeypatch.setattr(merging, "_tell", slow)

    def decides():
        assert merging_now.wait(20)
        made = says(card, study, "refused", 0)
        standings.fold()
        decided.set()
        return made

    done = in_threads(lambda: merged(ada, card), decides)
    assert [type(each) for each in done] == [SubjectMerge, ConsentDecision]
    for _ in range(2):
        assert left_out(study, ada, card, old) == {ada.pk, card.pk}
        standings.fold()


def refused_by_the_database(what) -> str:
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        what()
    diag = refused.value.__cause__.diag
    return diag.constraint_name or diag.message_primary


def row(one: Subject, other: Subject, **facts) -> SubjectMerge:
    said = {"idempotency_key": uuid4(), "reason_sealed": b"r"} | facts
    return SubjectMerge.objects.create(one=one, other=other, **said)


def test_the_database_refuses_merges_that_cannot_be():
    ada, card, old = three()
    made = row(ada, card)
    stored = SubjectMerge.objects.filter(pk=made.pk)
    for what, told in (
        (lambda: row(card, old, idempotency_key=made.idempotency_key), "consent_merge_key_once"),
        (lambda: row(old, card), "consent_merge_of_two_in_order"),
        (lambda: row(card, old, undone_at=NOW()), "consent_merge_undone_with_reason"),
        (lambda: row(card, old, undo_reason_sealed=b"r"), "consent_merge_undone_with_reason"),
        (lambda: row(ada, card), "they are one person already"),
        (lambda: stored.update(reason_sealed=b"x"), "a merge is never changed"),
        (stored.delete, "a merge is never changed"),
    ):
        assert told in refused_by_the_database(what)
    undone = {"undone_at": NOW(), "undo_reason_sealed": b"r"}
    stored.update(**undone)
    assert "never changed" in refused_by_the_database(lambda: stored.update(**undone))
    people.forget(subject=old)
    told = refused_by_the_database(lambda: row(card, old))
    assert told == "erased people are neither merged nor parted"
