"""Each named constraint of revivals and of the journal's lines can fire."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent.models import JournalLine, Revival, Tombstone
from tests.factories.consent import SubjectFactory

DIGEST = b"d" * 32


def revived_twice() -> None:
    stone = Tombstone.objects.create(scheme="email", digest=DIGEST)
    for _ in range(2):
        gone = SubjectFactory(erased_at=timezone.now(), erased_schemes=["email"])
        Revival.objects.create(subject=gone, tombstone=stone)


VIOLATIONS = {
    "consent_revival_of_one_person": revived_twice,
    "consent_journalline_number_from_one": lambda: JournalLine.objects.create(
        number=0, checksum=DIGEST
    ),
    "consent_journalline_is_a_digest": lambda: JournalLine.objects.create(number=1, checksum=b"x"),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", VIOLATIONS)
def test_the_constraint_fires(name):
    with pytest.raises(IntegrityError) as broken, transaction.atomic():
        VIOLATIONS[name]()
    assert broken.value.__cause__.diag.constraint_name == name


def test_every_constraint_is_tried():
    named = {each.name for model in (Revival, JournalLine) for each in model._meta.constraints}
    assert named == set(VIOLATIONS)
