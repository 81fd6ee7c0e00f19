"""Each named constraint of rights requests, their pauses, restrictions and letters can fire."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent.models import RequestLetter, RequestPause, Restriction, RightsRequest, Unweighed
from tests.factories.consent import registered
from tests.factories.rights import ask

MODELS = (RightsRequest, RequestPause, Restriction, RequestLetter)
NOW = timezone.now()
BEFORE = NOW - timedelta(days=9)


def changed(of: str = "access", /, **facts) -> None:
    RightsRequest.objects.filter(pk=ask(of, verified=False).pk).update(**facts)


def again(**facts) -> None:
    """Insert a request of a kind anew, with a name of its own and these facts."""
    first = ask("access")
    first.pk, first.uuid = None, uuid4()
    for name, value in facts.items():
        setattr(first, name, value)
    first.save(force_insert=True)


def joined_to_itself() -> None:
    request = ask("access")
    RightsRequest.objects.filter(pk=request.pk).update(duplicate_of=request)


def paused(*, twice: bool = False, **facts) -> None:
    request = ask("access", verified=False)
    for _ in range(1 + twice):
        RequestPause.objects.create(request=request, since=NOW, **facts)


def restricted(**facts) -> None:
    Restriction.objects.filter(request=ask("restriction")).update(**facts)


def restricted_twice() -> None:
    ann = registered()
    ask("restriction", ann)
    Restriction.objects.create(request=ask("access", ann), subject=ann, since=NOW)


def letter(*, twice: bool = False, **facts) -> None:
    said = {"request": ask("access"), "kind": "refused"} | facts
    for _ in range(1 + twice):
        RequestLetter.objects.create(**said)


VIOLATIONS = {
    "consent_request_key_once": lambda: again(duplicate_of=ask("access")),
    "consent_request_one_open": lambda: again(idempotency_key=uuid4()),
    "consent_request_kind_known": lambda: changed(kind="wish"),
    "consent_request_source_known": lambda: changed(source="signal", reason_sealed=b"x"),
    "consent_request_automatic_is_a_verified_erasure": lambda: changed(
        "erasure", source="automatic"
    ),
    "consent_request_of_others_has_reason": lambda: changed(source="delegate"),
    "consent_request_says_what_is_wrong": lambda: changed(details_sealed=b"x"),
    "consent_request_law_known": lambda: changed(law="lex"),
    "consent_request_due_later": lambda: changed(due_at=BEFORE),
    "consent_request_joined_has_no_course": joined_to_itself,
    "consent_request_extended_with_code": lambda: changed(extended_at=NOW, extension_code="why"),
    "consent_request_answered_as_its_kind": lambda: changed(answered_at=NOW),
    "consent_request_verified_before_planned": lambda: changed("erasure", planned_at=NOW),
    "consent_request_planned_before_forgotten": lambda: changed("erasure", forgotten_at=NOW),
    "consent_request_refused_with_code": lambda: changed(refused_at=NOW, refusal_code="because"),
    "consent_pause_one_open": lambda: paused(twice=True),
    "consent_pause_ends_later": lambda: paused(until=BEFORE),
    "consent_restriction_one_in_force": restricted_twice,
    "consent_restriction_lifted_by_somebody": lambda: restricted(until=NOW + timedelta(days=1)),
    "consent_letter_once": lambda: letter(twice=True),
    "consent_letter_kind_known": lambda: letter(due_at=NOW),
    "consent_letter_ended_with_outcome": lambda: letter(ended_at=NOW),
}

MORE = {
    "consent_request_automatic_is_a_verified_erasure": lambda: changed(
        source="automatic", verified_at=NOW
    ),
    "consent_request_says_what_is_wrong": lambda: changed("rectification", details_sealed=None),
    "consent_request_joined_has_no_course": lambda: again(
        duplicate_of=ask("access"), idempotency_key=uuid4(), answered_at=NOW
    ),
    "consent_request_extended_with_code": lambda: changed(extension_code="complexity"),
    "consent_request_answered_as_its_kind": lambda: changed(
        "erasure", verified_at=NOW, answered_at=NOW
    ),
    "consent_request_verified_before_planned": lambda: changed(verified_at=NOW, planned_at=NOW),
    "consent_request_refused_with_code": lambda: changed(
        verified_at=NOW, answered_at=NOW, refused_at=NOW, refusal_code="art_12_5_excessive"
    ),
    "consent_restriction_lifted_by_somebody": lambda: restricted(until=BEFORE, lifted_by="person"),
    "consent_letter_kind_known": lambda: letter(kind="overdue"),
    "consent_letter_once": lambda: letter(twice=True, kind="overdue", due_at=NOW),
    "consent_letter_ended_with_outcome": lambda: letter(ended_at=NOW, outcome="lost"),
}


def fires(name: str, violation) -> None:
    with pytest.raises(IntegrityError) as broken, transaction.atomic():
        violation()
    assert broken.value.__cause__.diag.constraint_name == name


@pytest.mark.django_db
@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_constraint_fires(name):
    fires(name, VIOLATIONS[name])


@pytest.mark.django_db
@pytest.mark.parametrize("name", MORE)
def test_the_constraint_fires_on_the_other_side_too(name):
    fires(name, MORE[name])


@pytest.mark.django_db
def test_what_is_joined_may_be_due_before_it_was_received():
    again(duplicate_of=ask("access"), idempotency_key=uuid4(), due_at=BEFORE)


@pytest.mark.django_db
def test_a_restriction_is_weighed_by_itself():
    made = ask("restriction").restriction
    other = Unweighed.objects.get(restriction=made)
    with (
        pytest.raises(IntegrityError, match="consent_unweighed_is_one_thing"),
        transaction.atomic(),
    ):
        Unweighed.objects.filter(pk=other.pk).update(restriction=None)


def test_every_constraint_is_tried():
    named = {each.name for model in MODELS for each in model._meta.constraints}
    assert named == set(VIOLATIONS)
