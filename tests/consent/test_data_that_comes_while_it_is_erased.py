"""Data of somebody who is being erased, and not yet forgotten, does not get past the erasure."""

from uuid import uuid4

import pytest

from consent.models import Reappearance, RightsRequest
from consent.selectors import requests, uses
from consent.selectors.membership import members
from consent.selectors.tracing import people_in
from consent.services import approving, erasing, forgetting, planning, subjects
from consent.services.requests import open_erasure
from governance.models import Dataset
from lineage.models import ModelVersion
from lineage.selectors.versions import current
from tests.factories import plans
from tests.factories.clinic import ANN, BOB, EVE, MODEL, PEOPLE, Clinic, said, settle
from tests.factories.consent import take

pytestmark = pytest.mark.django_db


@pytest.fixture
def clinic(tmp_path) -> Clinic:
    return Clinic(tmp_path)


def begun(who: str = ANN) -> RightsRequest:
    """Have somebody erased from where they are, and not forgotten yet."""
    person = subjects.register(identifiers=[("email", who)]).subject
    request = open_erasure(subject=person, key=uuid4(), verified=True)
    planning.plan(request.pk)
    while due := requests.datasets_to_erase_from():
        for pk in due:
            erasing.carry_out(dataset_id=pk)
    assert not request.steps.exclude(state="done").exists()
    return request


def all_completed() -> bool:
    found = RightsRequest.objects.filter(kind="erasure")
    return {str(requests.standing_of(each).state) for each in found} == {"completed"}


def test_whoever_is_listed_again_after_their_step_is_erased_again(clinic):
    request = begun()
    clinic.write_table(PEOPLE)
    clinic.hand_in(clinic.raw, PEOPLE)
    assert forgetting.forget(request.pk) == 1
    assert request.subject_id not in members(clinic.raw.pk)
    back = Reappearance.objects.get()
    assert (back.dataset, back.ended_at) == (clinic.raw, None)
    settle()
    assert clinic.rows() == [BOB, EVE]
    again = RightsRequest.objects.get(source="automatic")
    assert list(again.steps.values_list("dataset__name", "outcome")) == [("raw", "erased")]
    assert all_completed()


def test_a_list_of_another_data_set_is_seen_to_by_the_same_erasure(clinic):
    request = begun()
    other = clinic.table_named("other")
    clinic.hand_in(other, PEOPLE)
    assert forgetting.forget(request.pk) == 0
    settle()
    assert clinic.rows("other") == [BOB, EVE]
    assert sorted(request.steps.values_list("dataset__name", "outcome")) == [
        ("features", "erased"), ("other", "erased"), ("raw", "erased"),
    ]  # fmt: skip
    assert not RightsRequest.objects.filter(source="automatic").exists()
    assert (Reappearance.objects.count(), all_completed()) == (0, True)


def test_what_was_derived_before_the_data_was_erased_is_erased_too(clinic):
    person = subjects.register(identifiers=[("email", ANN)]).subject
    request = open_erasure(subject=person, key=uuid4(), verified=True)
    planning.plan(request.pk)
    derived = clinic.table_named("derived")
    clinic.runs("derive", reads=["raw"], writes=["derived"])
    settle()
    assert clinic.rows("derived") == [BOB, EVE]
    assert sorted(request.steps.values_list("dataset__name", "certainty")) == [
        ("derived", "inferred"), ("features", "inferred"), ("raw", "proven"),
    ]  # fmt: skip
    told = list(request.records.order_by("pk").values_list("kind", flat=True))
    assert told.index("erasure.extended") < told.index("subject.forgotten")
    assert (request.plans.count(), all_completed()) == (2, True)
    assert derived.pk in request.steps.values_list("dataset_id", flat=True)


def test_what_was_derived_after_the_data_was_erased_is_left_alone(clinic):
    request = begun()
    clinic.table_named("derived")
    clinic.runs("derive", reads=["raw"], writes=["derived"])
    clinic.runs("train", reads=["derived"], writes=[MODEL])
    settle()
    assert sorted(request.steps.values_list("dataset__name", flat=True)) == ["features", "raw"]
    assert request.plans.count() == 1
    assert clinic.rows("derived") == list(PEOPLE)


def test_a_list_that_names_somebody_where_they_were_erased_is_surer_than_the_erasure(clinic):
    request = begun()
    clinic.hand_in(clinic.raw, [ANN])
    version = current(clinic.raw.pk)
    assert version.kind == "erased"
    clinic.runs("train", reads=["raw"], writes=[MODEL])
    assert request.subject_id in people_in([version.pk]).people
    [use] = uses.models_of(request.subject)
    assert (use.model_version, use.certainty) == (ModelVersion.objects.get(), "proven")


def test_a_list_under_another_name_of_the_data_set_is_no_return(clinic):
    names = said("raw", symlinks=["z.raw"])
    clinic.runs("look", reads=[names], writes=[])
    other = Dataset.objects.get(name="z.raw")
    take(other, PEOPLE, scheme="email", version=current(other.pk))
    request = begun()
    assert "raw" in request.steps.values_list("dataset__name", flat=True)
    assert "z.raw" not in request.steps.values_list("dataset__name", flat=True)
    settle()
    assert not Reappearance.objects.exists()
    assert not RightsRequest.objects.filter(source="automatic").exists()


def test_where_plans_are_approved_what_was_derived_meanwhile_is_read_and_erased_too(clinic):
    plans.reviewed()
    Dataset.objects.update(categories=["health"])
    person = subjects.register(identifiers=[("email", ANN)]).subject
    request = open_erasure(subject=person, key=uuid4(), verified=True)
    planning.plan(request.pk)
    approving.approve(request=request, digest=plans.digest(request), by="staff:1")
    clinic.register(
        "derived", storage=clinic.raw.storage, location="derived", categories=["health"]
    )
    clinic.write_table(PEOPLE, "derived")
    clinic.runs("derive", reads=["raw"], writes=["derived"])
    settle()
    assert requests.standing(request.uuid).state == "review"
    approving.reject(request=request, digest=plans.digest(request), by="staff:1", reason="which?")
    assert request.steps.filter(released_at=None).get().dataset.name == "derived"
    approving.approve(request=request, digest=plans.digest(request), by="staff:1")
    settle()
    assert clinic.rows("derived") == [BOB, EVE]
    assert (request.plans.count(), all_completed()) == (3, True)
