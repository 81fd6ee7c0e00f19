"""Every training is concluded about, by what was in force when it read."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from consent.models import AssessmentDue, SubjectMerge, Unweighed, UseAssessment, Violation
from consent.rules import DecisionKind
from consent.selectors import assessments, leaning, tracing, uses
from consent.selectors.persons import rows_of
from consent.selectors.subjects import by_identifier
from consent.services import assessing, decisions, merging, subjects
from governance.models import Dataset
from governance.selectors import rules
from lineage.models import ModelVersion, Run
from lineage.selectors import versions
from tests.factories.consent import registered, take, version_after
from tests.factories.events import at, dataset, event, run
from tests.factories.training import (
    ANN,
    BOB,
    ask,
    facet,
    learn,
    loans_of,
    says,
    study,
    train,
)

pytestmark = pytest.mark.django_db
KNOWN_BY = [("email", ANN), ("email", BOB), ("card", "A-1"), ("card", "B-2")]


@pytest.fixture
def loans():
    """Ann said yes and Bob said no, well before any training."""
    study()
    made = loans_of(ANN, BOB)
    says(ANN, "given", -600)
    says(BOB, "refused", -600)
    return made


def concluded() -> list[tuple[str, list[str], int]]:
    """Assess what waits; return each run's conclusion that counts, in the order of runs."""
    while assessing.assess_waiting(limit=10):
        pass
    assert assessments.runs_to_assess(10) == []
    agrees_with_each_person()
    found = assessments.counting().order_by("run_id")
    return [(each.verdict, each.reasons, each.without_permission) for each in found]


def agrees_with_each_person() -> None:
    """The sets say of every person what a walk for that person alone says, row by row if joined."""
    people = [by_identifier(*each) for each in KNOWN_BY]
    for made in ModelVersion.objects.select_related("version__run"):
        used = tracing.people_in(versions.read_by(made.version.run)).people
        for person in filter(None, people):
            alone = uses.use_of(person, made) is not None
            rows = [
                row for row in rows_of(person)
                if row in used
                and row not in leaning.left_out([made.version_id]).get(made.version_id, ())
            ]  # fmt: skip
            assert alone == bool(rows), person.pk


def open_violations() -> int:
    return Violation.objects.filter(resolved_at=None).count()


def test_a_training_that_followed_the_gate_is_compliant(loans):
    train(facet(ask(loans)))
    assert concluded() == [("compliant", [], 0)]
    assert open_violations() == 0


def test_the_row_of_somebody_who_refused_is_a_violation(loans):
    train(facet())
    assert concluded() == [("violation", ["used_without_permission"], 1)]
    assert open_violations() == 1


def test_a_no_after_the_training_leaves_it_compliant_and_the_model_affected(loans):
    train(facet(ask(loans)))
    assert concluded() == [("compliant", [], 0)]
    [counts] = assessments.counting()
    assert assessments.affected([counts]) == set()
    says(ANN, "withdrawn", 60)
    assert concluded() == [("compliant", [], 0)]
    assert assessments.affected([counts]) == {counts.pk}
    assert UseAssessment.objects.count() == 1


def test_a_refusal_that_is_recorded_late_opens_a_violation(loans):
    train(facet(ask(loans)))
    assert concluded() == [("compliant", [], 0)]
    says(ANN, "withdrawn", -5)
    assert concluded() == [("violation", ["used_without_permission"], 1)]
    assert list(UseAssessment.objects.order_by("number").values_list("number", "verdict")) == [
        (1, "compliant"), (2, "violation"),
    ]  # fmt: skip
    assert open_violations() == 1


def test_a_yes_that_is_recorded_late_takes_the_violation_back(loans):
    train(facet())
    concluded()
    says(BOB, "given", -5)
    assert concluded() == [("compliant", [], 0)]
    [violation] = Violation.objects.all()
    assert violation.withdrawn_by == assessments.counting().get()
    assert violation.resolution == ""


def test_a_training_that_declares_nothing_is_a_gap(loans):
    train(None)
    assert concluded() == [("gap", ["purpose_undeclared"], 0)]


def test_a_purpose_that_nobody_registered_is_a_violation(loans):
    train(facet(purposes=["study", "profit"]))
    assert concluded() == [
        ("violation", ["unknown_purpose", "used_without_permission"], 1)
    ]  # fmt: skip


def test_an_answer_to_another_question_does_not_help(loans):
    train(facet(ask(loans, model=("test", "another"))))
    assert concluded() == [
        ("violation", ["used_without_permission", "gate_answer_does_not_fit"], 1)
    ]  # fmt: skip


def test_an_answer_that_the_gate_never_gave_does_not_help(loans):
    train({"purposes": ["study"], "gateDecision": "0" * 8 + "-0000-4000-8000-" + "0" * 12})
    assert concluded()[0][1] == ["used_without_permission", "gate_answer_does_not_fit"]


def test_a_failed_training_has_read_too(loans):
    train(facet(), kind="FAIL")
    assert concluded() == [("violation", ["used_without_permission"], 1)]


def test_a_training_that_has_only_begun_is_assessed(loans):
    learn([event("START", "train", 0, reads=["loans"], colophon_training=facet())])
    assert concluded() == [("violation", ["used_without_permission"], 1)]
    assert UseAssessment.objects.get().model_version is None


def test_a_training_of_which_nothing_is_known_but_that_it_began_is_a_gap(loans):
    learn([event("START", "train", 0, colophon_training=facet())])
    assert concluded() == [("gap", ["inputs_unknown"], 0)]


def test_what_a_training_says_later_is_assessed_again(loans):
    train(None)
    assert concluded() == [("gap", ["purpose_undeclared"], 0)]
    train(facet(ask(loans)))
    assert concluded() == [("compliant", [], 0)]


def test_an_input_that_is_told_late_is_assessed_again(loans):
    loans_of(BOB, name="fines")
    decision = ask(loans)
    train(facet(decision))
    assert concluded() == [("compliant", [], 0)]
    train(facet(decision), reads=["loans", "fines"])
    assert concluded() == [
        ("violation", ["used_without_permission", "gate_answer_does_not_fit"], 1)
    ]  # fmt: skip


def test_a_data_set_that_nobody_answers_for_is_a_gap(loans):
    train(facet(), reads=["somewhere"])
    assert concluded() == [("gap", ["unknown_dataset"], 0)]


def test_people_upstream_count_and_those_who_were_filtered_out_do_not(loans):
    clean = dataset("clean", lifecycle="OVERWRITE")
    learn(run("filter", -20, -10, reads=["loans"], writes=[clean]))
    train(facet(), reads=["clean"], name="careless")
    assert concluded() == [("violation", ["used_without_permission"], 1)]
    made = Dataset.objects.get(name="clean")
    take(made, [ANN], mode="replace", scheme="email")
    assert concluded() == [("compliant", [], 0)]


def test_somebody_who_joined_a_source_after_the_training_was_not_used(loans):
    train(facet(ask(loans)))
    later = version_after(loans, hours=24 * 365)
    take(loans, [ANN, BOB, "new@example.org"], mode="replace", scheme="email", version=later)
    assert concluded() == [("compliant", [], 0)]
    assert not AssessmentDue.objects.exists()
    assert not Unweighed.objects.exists()


def test_nothing_is_concluded_twice(loans):
    train(facet())
    concluded()
    run_id = Run.objects.get().pk
    assert assessing.assess(run_id=run_id) is None
    AssessmentDue.objects.create(run_id=run_id)
    assert concluded() == [("violation", ["used_without_permission"], 1)]
    assert UseAssessment.objects.count() == 1


def test_a_settled_violation_stays_settled_until_more_is_known(loans):
    train(facet())
    concluded()
    [violation] = Violation.objects.all()
    assessing.assign(violation=violation, to="privacy team", by="staff:1")
    assessing.resolve(violation=violation, resolution="accepted_risk", reason="a pilot", by="x")
    with pytest.raises(assessing.ViolationSettledError):
        assessing.resolve(violation=violation, resolution="false_alarm", reason="no", by="x")
    says(ANN, "renewed", -400)
    assert concluded() == [("violation", ["used_without_permission"], 1)]
    assert open_violations() == 0
    says(ANN, "withdrawn", -300)
    assert concluded() == [("violation", ["used_without_permission"], 2)]
    assert open_violations() == 1


def test_a_conclusion_is_never_changed(loans):
    train(facet())
    concluded()
    with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
        UseAssessment.objects.update(verdict="compliant", without_permission=0)


def test_a_person_who_was_erased_since_had_permitted_it(loans):
    train(facet(ask(loans)))
    subjects.forget(subject=by_identifier("email", ANN))
    assert concluded() == [("compliant", [], 0)]
    assert assessments.affected(assessments.counting(), at=timezone.now() + timedelta(1)) != set()


def joined(*known_by: tuple[str, str]) -> SubjectMerge:
    one, other = (registered(each) for each in known_by)
    said = {"subject": one, "other": other, "key": uuid4(), "reason": "one household"}
    return merging.merge(**said).merge


def test_a_merge_makes_a_no_count_for_what_was_used_under_the_other_name_until_it_is_undone(loans):
    train(facet(ask(loans)))
    assert concluded() == [("compliant", [], 0)]
    merge = joined(("email", ANN), ("email", BOB))
    assert concluded() == [("violation", ["used_without_permission"], 1)]
    assert open_violations() == 1
    merging.undo(merge=merge, reason="two after all")
    assert concluded() == [("compliant", [], 0)]
    assert open_violations() == 0
    assert UseAssessment.objects.count() == 3


def test_a_person_in_two_rows_is_counted_once(loans):
    train(facet())
    says(ANN, "withdrawn", -100)
    assert concluded() == [("violation", ["used_without_permission"], 2)]
    joined(("email", ANN), ("email", BOB))
    assert concluded() == [("violation", ["used_without_permission"], 1)]


def test_a_merge_of_people_of_whom_nothing_was_used_assesses_nothing(loans):
    train(facet())
    concluded()
    joined(("email", "cy@example.org"), ("card", "C-3"))
    assert assessing.weigh() == 1
    assert not AssessmentDue.objects.exists()


@pytest.mark.parametrize("listed", [(), ("A-1",)])
def test_a_list_by_another_name_leaves_out_whoever_is_known_by_both_names(loans, listed):
    clean = dataset("clean", lifecycle="OVERWRITE")
    learn(run("filter", -20, -10, reads=["loans"], writes=[clean]))
    train(facet(), reads=["clean"])
    take(Dataset.objects.get(name="clean"), listed, mode="replace", scheme="card")
    ann, bob = by_identifier("email", ANN), by_identifier("email", BOB)

    def used() -> tuple[bool, bool]:
        concluded()
        return bool(uses.models_of(ann)), bool(uses.models_of(bob))

    assert used() == (True, True), "nobody is known by a card"
    first = joined(("email", ANN), ("card", "A-1"))
    assert used() == ("A-1" in listed, True)
    second = joined(("email", BOB), ("card", "B-2"))
    assert used() == ("A-1" in listed, "B-2" in listed)
    third = joined(("card", "A-1"), ("card", "B-2"))
    assert used() == (bool(listed), bool(listed))
    for merge in (first, second, third):
        merging.undo(merge=merge, reason="two after all")
    assert used() == (True, True)


def test_a_list_that_names_one_row_of_a_person_bars_no_other_row(loans):
    clean = dataset("clean", lifecycle="OVERWRITE")
    learn(run("filter", -20, -10, reads=["loans"], writes=[clean]))
    made = Dataset.objects.get(name="clean")
    take(made, ["A-1"], mode="replace", scheme="card")
    registered(("card", "A-1"))
    train(facet(ask(made)), reads=["clean"])
    joined(("email", ANN), ("card", "A-1"))
    concluded()
    assert uses.models_of(by_identifier("card", "A-1")), "only the card was left out by the gate"


def test_of_two_rows_the_gate_left_out_one_and_the_other_is_still_in_the_model(loans):
    take(loans, ["A-1"], scheme="card")
    decisions.record(
        subject=registered(("card", "A-1")), purpose=rules.purpose("study"), key=uuid4(),
        kind=DecisionKind.GIVEN, decided_at=at(-600),
    )  # fmt: skip
    train(facet(ask(loans)))
    merge = joined(("email", BOB), ("card", "A-1"))
    bob = by_identifier("email", BOB)
    concluded()
    [use] = uses.models_of(bob)
    assert use.certainty == "proven"
    merging.undo(merge=merge, reason="two after all")
    concluded()
    assert uses.models_of(bob) == []
