"""Who is in which version of a data set."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from threading import Event

import pytest
from django.db import connection
from pyroaring import BitMap

from consent.manifest_errors import ManifestMalformedError
from consent.manifests import Body, Form
from consent.models import (
    Manifest,
    MembershipSpan,
    Reappearance,
    Subject,
    SubjectIdentifier,
    SubjectKey,
)
from consent.selectors import membership as selectors
from consent.selectors.subjects import by_identifier
from consent.services import membership, subjects
from consent.services.stays import end
from governance.models import LedgerRecord
from lineage.selectors import versions
from lineage.services.versions import ensure_origins
from tests.factories.consent import people_of, registered, take, version_after
from tests.factories.governance import DatasetFactory

pytestmark = pytest.mark.django_db


def person(name: str) -> Subject:
    found = by_identifier("opaque", name)
    assert found is not None
    return found


def named(*names: str) -> set:
    return {person(name).uuid for name in names}


def counts() -> tuple[int, ...]:
    kinds = (Subject, SubjectIdentifier, Manifest, Reappearance, LedgerRecord)
    return (memberships(), *(kind.objects.count() for kind in kinds))


def memberships() -> int:
    """Count people by stay, and check that both directions say the same."""
    by_span = selectors.people_of(MembershipSpan.objects.values_list("pk", flat=True))
    forth = {(person, span) for span, people in by_span.items() for person in people}
    back = {
        (person, span)
        for person, spans in selectors.stays_of(
            Subject.objects.values_list("pk", flat=True)
        ).items()
        for span in spans
    }
    assert forth == back
    return len(forth)


def stays() -> list[tuple[int, int | None]]:
    """Return the stays that anybody is in."""
    by_span = selectors.people_of(MembershipSpan.objects.values_list("pk", flat=True))
    found = MembershipSpan.objects.filter(pk__in=by_span).order_by("since", "until")
    return list(found.values_list("since", "until"))


@pytest.fixture
def dataset():
    return DatasetFactory()


@pytest.fixture
def v1(dataset):
    return version_after(dataset, 1)


@pytest.fixture
def v2(dataset, v1):
    return version_after(dataset, 2)


@pytest.fixture
def v3(dataset, v2):
    return version_after(dataset, 3)


def test_unknown_people_become_subjects_by_digest_alone(dataset, v1):
    known = registered(("opaque", "ada"))
    manifest = take(dataset, ["ada", "bob", "bob"], version=v1)
    assert (manifest.rows, manifest.people) == (3, 2)
    assert people_of(dataset) == named("ada", "bob")
    assert person("ada") == known
    assert person("bob").identifiers.get().value_sealed is None
    assert SubjectKey.objects.count() == 1
    assert stays() == [(v1.pk, None)]


def test_subjects_are_numbered_without_gaps(dataset, v1, v2):
    take(dataset, [f"p{n}" for n in range(50)], version=v1)
    take(dataset, [f"p{n}" for n in range(100)], version=v2)
    keys = sorted(Subject.objects.values_list("pk", flat=True))
    assert keys == list(range(keys[0], keys[0] + 100))


def test_adding_and_removing_open_and_close_intervals(dataset, v1, v2, v3):
    take(dataset, ["ada", "bob"], version=v1)
    take(dataset, ["bob", "eve"], mode="remove", version=v2)
    take(dataset, ["bob"], version=v3)
    assert people_of(dataset, v1) == named("ada", "bob")
    assert people_of(dataset, v2) == named("ada")
    assert people_of(dataset, v3) == people_of(dataset) == named("ada", "bob")
    assert by_identifier("opaque", "eve") is None


def test_replacing_means_exactly_these_people(dataset, v1, v2):
    take(dataset, ["ada", "bob"], version=v1)
    take(dataset, ["bob", "cy"], mode="replace", version=v2)
    assert people_of(dataset, v1) == named("ada", "bob")
    assert people_of(dataset, v2) == named("bob", "cy")


def test_replacing_by_nobody_empties_the_version(dataset, v1, v2):
    take(dataset, ["ada"], version=v1)
    take(dataset, [], mode="replace", version=v2)
    assert (people_of(dataset, v1), people_of(dataset, v2)) == (named("ada"), set())


def test_who_was_added_and_taken_back_in_one_version_was_never_there(dataset, v1):
    take(dataset, ["ada", "bob"], version=v1)
    take(dataset, ["bob"], mode="remove", version=v1)
    assert people_of(dataset, v1) == named("ada")
    assert selectors.versions_holding(person("bob")) == set()


def test_the_same_manifest_again_changes_nothing(dataset, v1):
    first = take(dataset, ["ada", "bob"], version=v1)
    before = counts()
    assert take(dataset, ["ada", "bob"], version=v1) == first
    assert counts() == before


def test_a_list_handed_in_again_after_another_is_the_last_word(dataset, v1):
    first = take(dataset, ["ada", "bob"], mode="replace", version=v1)
    take(dataset, ["bob"], mode="replace", version=v1)
    again = take(dataset, ["ada", "bob"], mode="replace", version=v1)
    assert again != first
    assert people_of(dataset, v1) == named("ada", "bob")
    assert selectors.versions_proven_without(person("ada"), [v1.pk]) == set()
    take(dataset, ["bob"], mode="replace", version=v1)
    assert people_of(dataset, v1) == named("bob")
    assert selectors.versions_proven_without(person("ada"), [v1.pk]) == {v1.pk}


@pytest.mark.parametrize("undone", ["remove", "replace"])
def test_who_was_taken_out_is_added_by_the_same_list_again(dataset, v1, undone):
    take(dataset, ["ada"], version=v1)
    take(dataset, ["ada"] if undone == "remove" else [], mode=undone, version=v1)
    take(dataset, ["ada"], version=v1)
    assert people_of(dataset, v1) == named("ada")


def test_parts_of_a_long_list_are_repeats_in_any_order(dataset, v1):
    parts = [take(dataset, [name], version=v1) for name in ("ada", "bob")]
    before = counts()
    assert [take(dataset, [name], version=v1) for name in ("ada", "bob")] == parts
    assert counts() == before


def test_the_same_list_after_an_erasure_says_that_the_data_has_come_back(dataset, v1):
    registered(("opaque", "ada"))
    take(dataset, ["ada", "bob"], version=v1)
    subjects.forget(subject=person("ada"))
    take(dataset, ["ada", "bob"], version=v1)
    assert Reappearance.objects.filter(dataset=dataset, ended_at=None).count() == 1
    assert people_of(dataset) >= named("bob")
    before = counts()
    take(dataset, ["ada", "bob"], version=v1)
    assert counts() == before


def test_another_data_set_is_not_touched(dataset, v1):
    other = DatasetFactory()
    take(other, ["ada"])
    take(dataset, ["bob"], mode="replace", version=v1)
    assert people_of(other) == named("ada")


def test_who_is_known_in_another_scheme_only_is_not_closed_out(dataset, v1, v2):
    take(dataset, ["A-1"], version=v1, scheme="card")
    take(dataset, ["ada"], mode="replace", version=v2)
    assert people_of(dataset) == {by_identifier("card", "A-1").uuid, person("ada").uuid}


def test_what_comes_late_counts_until_the_next_thing_known(dataset, v1, v2, v3):
    take(dataset, ["ada", "bob"], version=v2)
    take(dataset, ["ada"], mode="replace", version=v3)
    take(dataset, ["ada", "bob", "cy"], version=v1)
    assert people_of(dataset, v1) == named("ada", "bob", "cy")
    assert people_of(dataset, v2) == named("ada", "bob", "cy")
    assert people_of(dataset, v3) == named("ada")
    assert memberships() == 3


@pytest.mark.parametrize("mode", ["remove", "replace"])
def test_what_would_rewrite_the_past_is_refused_and_changes_nothing(dataset, v1, v2, mode):
    take(dataset, ["ada"], version=v2)
    before = counts()
    with pytest.raises(membership.ManifestOutOfOrderError):
        take(dataset, ["bob"], mode=mode, version=v1)
    assert counts() == before


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("email\nada@example.org\nsecret\n", 3),
        ("email\n" + "ada@example.org\n" * 15_000 + "secret\n", 15_002),
    ],
)
def test_a_malformed_line_undoes_the_whole_manifest(dataset, v1, content, line):
    dataset.subject_column = dataset.subject_scheme = "email"
    with pytest.raises(ManifestMalformedError) as refused:
        membership.load(
            dataset=dataset, version=v1, mode=Manifest.Mode.ADD, form=Form.CSV,
            body=Body(BytesIO(content.encode()).read, key=b"k" * 32),
        )  # fmt: skip
    assert refused.value.facts == {"line": line}
    assert "secret" not in refused.value.message
    assert counts() == (0, 0, 0, 0, 0, 0)


def test_scheme_and_column_have_to_be_said_by_somebody(dataset, v1):
    said = {"dataset": dataset, "version": v1, "mode": Manifest.Mode.ADD, "form": Form.CSV}
    with pytest.raises(membership.SubjectColumnMissingError):
        membership.load(**said, body=Body(BytesIO(b"").read, key=b"k" * 32))
    with pytest.raises(membership.SubjectSchemeMissingError):
        membership.load(**said, column="who", body=Body(BytesIO(b"").read, key=b"k" * 32))


def test_which_versions_hold_a_person(dataset, v1, v2, v3):
    take(dataset, ["ada", "bob"], version=v1)
    take(dataset, ["bob"], mode="remove", version=v3)
    ada, bob = person("ada"), person("bob")
    assert selectors.versions_holding(ada) == {v1.pk, v2.pk, v3.pk}
    assert selectors.versions_holding(bob) == {v1.pk, v2.pk}
    asked = [v2.pk, v3.pk]
    assert selectors.versions_holding(ada, asked) == {v2.pk, v3.pk}
    assert selectors.versions_holding(bob, asked) == {v2.pk}
    everybody = BitMap([ada.pk, bob.pk])
    assert selectors.members_of(asked) == {v2.pk: everybody, v3.pk: BitMap([ada.pk])}
    assert list(selectors.datasets_of(ada)) == [dataset]
    assert list(selectors.datasets_of(bob)) == []


def test_only_a_complete_list_proves_an_absence(dataset, v1, v2, v3):
    everybody = registered(("opaque", "ada"), ("email", "ada@example.org"))
    take(dataset, ["bob"], version=v1)
    take(dataset, ["bob"], mode="replace", version=v2)
    take(dataset, ["bob", "ada"], mode="replace", version=v3)
    versions = [v1.pk, v2.pk, v3.pk]
    assert selectors.manifested(versions) == {v2.pk, v3.pk}
    assert selectors.versions_proven_without(everybody, versions) == {v2.pk}
    by_mail_only = registered(("email", "cy@example.org"))
    assert selectors.versions_proven_without(by_mail_only, versions) == set()


def test_data_of_an_erased_person_that_comes_back_is_kept_as_a_fact(dataset, v1, v2, v3):
    ada = registered(("opaque", "ada"))
    take(dataset, ["ada", "bob"], version=v1)
    end(dataset_id=dataset.pk, people=BitMap([ada.pk]), version=v2)
    subjects.forget(subject=ada)
    take(dataset, ["ada", "bob"], version=v3)
    back = selectors.reappeared_in([dataset.pk]).get()
    assert (back.manifest.version, back.tombstone.scheme) == (v3, "opaque")
    assert people_of(dataset) == named("bob")
    assert by_identifier("opaque", "ada") is None
    take(dataset, ["ada", "bob", "cy"], version=v3)
    assert Reappearance.objects.count() == 1


@pytest.mark.parametrize(("mode", "names"), [("replace", ["bob"]), ("remove", ["ada"])])
def test_data_that_came_back_goes_again_when_a_list_says_so(dataset, v1, v2, mode, names):
    subjects.forget(subject=registered(("opaque", "ada")))
    take(dataset, ["ada", "bob"], version=v1)
    take(dataset, names, mode=mode, version=v2)
    assert not selectors.reappeared_in([dataset.pk]).exists()
    assert Reappearance.objects.count() == 1


def test_an_erased_person_is_proven_absent_only_where_nobody_erased_came_back(dataset, v1, v2):
    ada, eve = registered(("opaque", "ada")), registered(("opaque", "eve"))
    subjects.forget(subject=ada)
    subjects.forget(subject=eve)
    take(dataset, ["bob", "eve"], mode="replace", version=v1)
    take(dataset, ["bob"], mode="replace", version=v2)
    assert selectors.versions_proven_without(ada, [v1.pk, v2.pk]) == {v2.pk}


@pytest.mark.django_db(transaction=True)
def test_manifests_that_meet_the_same_people_at_once_make_them_once():
    datasets = [DatasetFactory() for _ in range(6)]
    names = [f"p{n}" for n in range(3000)]

    def load(turn: int) -> None:
        try:
            take(datasets[turn], names if turn % 2 else names[::-1])
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(load, range(6)))
    assert (Subject.objects.count(), SubjectIdentifier.objects.count()) == (3000, 3000)
    assert memberships() == 6 * 3000


@pytest.mark.django_db(transaction=True)
def test_who_is_forgotten_while_a_manifest_comes_in_is_not_written_down_again(dataset):
    ada = registered(("opaque", "ada"))
    ensure_origins([dataset.pk])
    half_read, go_on = Event(), Event()

    def read(_: int) -> bytes:
        if half_read.is_set():
            assert go_on.wait(20)
            return b""
        half_read.set()
        return b'"ada"\n"bob"\n'

    def load() -> None:
        try:
            membership.load(
                dataset=dataset, version=versions.current(dataset.pk), mode=Manifest.Mode.ADD,
                form=Form.NDJSON, body=Body(read, key=b"k" * 32), scheme="opaque",
            )  # fmt: skip
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        loading = pool.submit(load)
        assert half_read.wait(20)
        subjects.forget(subject=ada)
        go_on.set()
        loading.result()
    assert people_of(dataset) == named("bob")
    assert selectors.reappeared_in([dataset.pk]).count() == 1
    assert by_identifier("opaque", "ada") is None
