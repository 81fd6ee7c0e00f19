"""Registering people, and forgetting them."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction

from consent.identifiers import IdentifierMalformedError
from consent.models import Subject, SubjectIdentifier, SubjectKey, Tombstone
from consent.selectors import subjects as selectors
from consent.selectors.identifier_keys import current
from consent.services import subjects
from governance.crypto import UnreadableError
from governance.models import LedgerRecord
from tests.factories.consent import SubjectFactory, registered, take
from tests.factories.governance import DatasetFactory

ADA = ("email", "ada@example.org")
CARD = ("card", "A-1")

pytestmark = pytest.mark.django_db


def counts() -> tuple[int, int, int, int, int]:
    kinds = (Subject, SubjectKey, SubjectIdentifier, Tombstone, LedgerRecord)
    return tuple(kind.objects.count() for kind in kinds)  # type: ignore[return-value]


def test_a_registered_person_has_a_key_and_sealed_identifiers():
    made = subjects.register(identifiers=[ADA, CARD])
    assert made.created
    assert counts() == (1, 1, 2, 0, 1)
    assert selectors.clear_identifiers(made.subject) == [CARD, ADA]
    assert selectors.by_identifier("email", " ADA@example.org") == made.subject
    assert selectors.by_identifier("opaque", "ada@example.org") is None


def test_registering_again_changes_nothing():
    first = subjects.register(identifiers=[ADA, CARD])
    before = counts()
    again = subjects.register(identifiers=[("email", "Ada@Example.org"), ADA, CARD])
    assert (again.subject, again.created) == (first.subject, False)
    assert counts() == before


def test_further_identifiers_are_added_to_the_same_person():
    person = registered(ADA)
    assert subjects.register(identifiers=[ADA, CARD]).subject == person
    assert selectors.clear_identifiers(person) == [CARD, ADA]
    assert counts() == (1, 1, 2, 0, 2)


def test_identifiers_of_two_people_are_refused_and_change_nothing():
    registered(ADA)
    registered(CARD)
    before = counts()
    with pytest.raises(subjects.IdentifiersOfTwoPeopleError):
        subjects.register(identifiers=[ADA, CARD, ("card", "A-2")])
    assert counts() == before


@pytest.mark.parametrize("identifiers", [[], [("email", "nobody")], [ADA, ("opaque", "")]])
def test_what_names_nobody_is_refused_and_changes_nothing(identifiers):
    with pytest.raises(IdentifierMalformedError):
        subjects.register(identifiers=identifiers)
    assert counts() == (0, 0, 0, 0, 0)


def test_a_person_known_from_a_manifest_gets_a_key_only_by_registering():
    take(DatasetFactory(), ["A-1"], scheme="card")
    person = selectors.by_identifier(*CARD)
    with pytest.raises(subjects.SubjectUnregisteredError):
        subjects.key_of(person)
    assert subjects.register(identifiers=[CARD]) == subjects.Registered(person, created=False)
    assert selectors.clear_identifiers(person) == [CARD]


def test_forgetting_destroys_key_and_identifiers_and_leaves_tombstones():
    person, other = registered(ADA, CARD), registered()
    sealed = list(person.identifiers.values_list("value_sealed", flat=True))
    subjects.forget(subject=person)
    assert person.erased_at is not None
    assert person.erased_schemes == ["card", "email"]
    assert not person.identifiers.exists()
    assert not SubjectKey.objects.filter(subject=person).exists()
    assert selectors.by_identifier(*ADA) is None
    assert len(selectors.buried("email", current().digests("email", [ADA[1]]))) == 1
    with pytest.raises(subjects.SubjectErasedError) as refused:
        subjects.key_of(person)
    assert (refused.value.code, refused.value.status) == ("subject_erased", 410)
    with pytest.raises(UnreadableError):
        subjects.key_of(other).open(bytes(sealed[0]), "anywhere")
    assert len(selectors.clear_identifiers(other)) == 1


def test_forgetting_twice_is_forgetting_once():
    person = registered(ADA)
    subjects.forget(subject=person)
    at, before = person.erased_at, counts()
    subjects.forget(subject=person)
    assert (person.erased_at, counts()) == (at, before)


def test_an_erased_person_comes_back_only_by_saying_so_and_as_somebody_new():
    old = registered(ADA, CARD)
    subjects.forget(subject=old)
    before = counts()
    with pytest.raises(subjects.PersonWasErasedError) as refused:
        subjects.register(identifiers=[ADA])
    assert (refused.value.code, refused.value.status) == ("person_was_erased", 409)
    assert counts() == before
    new = subjects.register(identifiers=[ADA], again=True)
    assert new.created
    assert new.subject != old
    assert selectors.buried("email", current().digests("email", [ADA[1]])) == {}
    assert len(selectors.buried("card", current().digests("card", [CARD[1]]))) == 1


def test_who_comes_back_can_be_erased_again():
    subjects.forget(subject=registered(ADA))
    subjects.forget(subject=registered(ADA, again=True))
    assert Tombstone.objects.count() == 1
    assert selectors.by_identifier(*ADA) is None


def refused_by_the_database(what) -> str:
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        what()
    assert refused.value.__cause__.sqlstate == "23001"  # restrict_violation
    return str(refused.value)


def test_an_erased_person_never_silently_gets_a_key_or_an_identifier():
    person = registered(ADA)
    wrapped = bytes(person.key.wrapped)
    [digest] = current().digests("email", [ADA[1]]).newest
    subjects.forget(subject=person)
    for what in (
        lambda: SubjectKey.objects.create(subject=person, wrapped=wrapped),
        lambda: SubjectIdentifier.objects.create(subject=person, scheme="email", digest=digest),
    ):
        assert "neither a key nor an identifier" in refused_by_the_database(what)


def test_an_erasure_is_never_taken_back_nor_half_done():
    person, living = registered(ADA), registered(CARD)
    subjects.forget(subject=person)
    erased = Subject.objects.filter(pk=person.pk)
    refused_by_the_database(lambda: erased.update(erased_at=None, erased_schemes=None))
    half = Subject.objects.filter(pk=living.pk)
    refused_by_the_database(lambda: half.update(erased_at=person.erased_at, erased_schemes=[]))


def test_a_sealed_value_opens_only_in_its_own_place():
    one, two = registered(ADA), registered(CARD)
    SubjectKey.objects.filter(subject=two).update(wrapped=bytes(one.key.wrapped))
    with pytest.raises(UnreadableError):
        subjects.key_of(two)


def test_a_person_without_anything_is_unregistered_not_erased():
    with pytest.raises(subjects.SubjectUnregisteredError):
        subjects.key_of(SubjectFactory())


@pytest.mark.django_db(transaction=True)
def test_sixteen_callers_register_one_person():
    def register(_: int):
        try:
            return subjects.register(identifiers=[ADA, CARD])
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(register, range(16)))
    assert len({each.subject.pk for each in made}) == 1
    assert sum(each.created for each in made) == 1
    assert counts() == (1, 1, 2, 0, 1)
