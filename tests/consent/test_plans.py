"""A plan says everything that an erasure would do and would not, and touches nothing."""

import hashlib
from datetime import timedelta
from uuid import uuid4

import pytest
import rfc8785
from django.db import IntegrityError, transaction
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from consent.models import (
    DryRun,
    ErasurePlan,
    ErasureStep,
    MembershipSpan,
    PlanApproval,
    PlanRejection,
    RequestRecord,
)
from consent.selectors import planned, plans, requests
from consent.selectors.certificates import certificate
from consent.selectors.requests import RequestState
from consent.services import erasing, forgetting, looking, planning
from consent.services.approving import PlanNotWaitingError, approve, reject
from consent.services.requests import open_erasure
from consent.services.settling import settle_step
from governance.models import Dataset, Storage
from governance.services.registry import register_dataset, register_storage
from lineage.models import DatasetVersion
from tests.factories import plans as made
from tests.factories.events import dataset as said
from tests.factories.events import run
from tests.factories.portal import learn

pytestmark = pytest.mark.django_db


@pytest.fixture
def lake(tmp_path) -> made.Lake:
    return made.lake(tmp_path)


def told(entries, *names: str) -> list[tuple]:
    return [tuple(each[name] for name in names) for each in entries]


def content_of(subject) -> dict:
    return plans.drawn(subject).content()


def test_a_plan_names_every_data_set_in_sight_by_certainty_and_what_becomes_of_it(lake):
    content = content_of(made.person())
    assert told(content["steps"], "name", "certainty", "kind", "code") == [
        ("survey", "unknown", "", "unknown_upstream"),
        ("patients", "proven", "sql", ""),
        ("features", "inferred", "files", ""),
        ("export", "inferred", "", "no_storage"),
    ]
    assert told(content["untouched"], "name", "certainty", "code") == [
        ("adults", "proven", "proven_without"),
        ("codes", "masked", "masked"),
        ("model", "inferred", "model"),
    ]
    assert told(content["models"], "name", "version", "certainty", "way") == [
        ("model", "1", "inferred", ["patients", "features", "model"]),
    ]
    assert (content["approvals"], content["policies"], content["truncated"]) == (0, [], False)
    assert made.ANN not in str(content)


@given(st.dictionaries(
    st.sampled_from(["steps", "namespace", "name", "approvals", "truncated", "options"]),
    st.recursive(st.text() | st.integers(0, 10**6) | st.booleans(),
                 lambda each: st.lists(each, max_size=3)
                 | st.dictionaries(st.sampled_from(["name", "certainty", "code"]), each)),
))  # fmt: skip
def test_the_digest_of_a_plan_is_that_of_its_canonical_form(content):
    assert plans.digest_of(content) == hashlib.sha256(rfc8785.dumps(content)).hexdigest()


def test_drawing_a_plan_writes_nothing(lake):
    subject = made.person()
    before = [model.objects.count() for model in (DatasetVersion, MembershipSpan, RequestRecord)]
    content_of(subject)
    after = [model.objects.count() for model in (DatasetVersion, MembershipSpan, RequestRecord)]
    assert after == before
    assert not ErasurePlan.objects.exists()
    assert (lake.rows(), lake.features_rows()) == (
        [made.ANN, made.ANN, made.BOB], [made.ANN, made.BOB],
    )  # fmt: skip


def test_a_masked_data_set_in_which_people_are_named_is_erased_from(lake):
    register_dataset(name="codes", namespace="test", subject_column="c", subject_scheme="opaque")
    content = content_of(made.person())
    assert ("codes", "masked", "no_storage") in told(content["steps"], "name", "certainty", "code")
    assert "codes" not in [each["name"] for each in content["untouched"]]


def test_a_data_set_that_some_way_leads_to_unmasked_is_inferred(lake):
    learn(run("leak", 8, 9, reads=["patients"], writes=["codes"]))
    steps = content_of(made.person())["steps"]
    assert ("codes", "inferred") in told(steps, "name", "certainty")


def test_what_stands_in_the_way_is_in_the_plan_before_anything_is_tried(lake):
    Storage.objects.filter(name="clinic").update(enabled=False)
    desk = register_storage(name="desk", kind="manual", address="a drawer").thing
    register_dataset(name="export", namespace="test", storage=desk, location="the drawer")
    codes = dict(told(content_of(made.person())["steps"], "name", "code"))
    assert codes == {
        "survey": "unknown_upstream", "patients": "storage_disabled", "features": "",
        "export": "person_needed",
    }  # fmt: skip


def test_a_plan_follows_the_flows_through_circles_and_long_ways(lake):
    learn(
        run("back", 10, 11, reads=["export"], writes=["features"])
        + run("late", 12, 13, reads=["export", "patients"], writes=["aa-last"])
    )
    names = [each["name"] for each in content_of(made.person())["steps"]]
    assert names == ["survey", "patients", "export", "features", "aa-last"]


def test_a_data_set_with_two_names_is_one_step_under_the_name_that_leads_somewhere(lake):
    learn(run("again", 8, 9, writes=[said("features", symlinks=["z.features"])]))
    steps = content_of(made.person())["steps"]
    assert [each["name"] for each in steps] == ["survey", "patients", "features", "export"]


def test_an_unknown_is_a_step_that_stays_open_until_somebody_answers_for_it(lake):
    request = made.asked()
    made.worked(erasing.carry_out)
    forgetting.forget(request.pk)
    standing = requests.standing(request.uuid)
    assert "data set test survey: unknown_upstream" in standing.outstanding
    assert standing.state is RequestState.ERASING
    unknown = request.steps.get(dataset__name="survey")
    assert (unknown.state, unknown.code) == ("blocked", "unknown_upstream")
    assert standing.request.forgotten_at is None
    for step in request.steps.filter(state="blocked"):
        settle_step(
            step=step, outcome="by_hand", code="looked", reason="nobody of ours", evidence="seen"
        )
    assert forgetting.forget(request.pk) == 1


def test_an_unknown_whose_complete_list_leaves_the_person_out_is_left_alone(lake):
    survey = Dataset.objects.get(name="survey")
    made.take(survey, [made.BOB], mode="replace", scheme="email")
    content = content_of(made.person())
    assert "survey" not in [each["name"] for each in content["steps"]]
    assert ("survey", "proven", "proven_without") in told(
        content["untouched"], "name", "certainty", "code"
    )


def test_an_unknown_that_is_registered_with_its_storage_is_looked_into(lake, tmp_path):
    request = made.asked()
    (tmp_path / "survey.csv").write_text(f"email,mood\n{made.ANN},good\n{made.BOB},bad\n")
    folder = register_storage(name="folder", kind="files", address=str(tmp_path)).thing
    register_dataset(
        name="survey", namespace="test", storage=folder, location="survey.csv",
        subject_column="email", subject_scheme="email",
    )  # fmt: skip
    made.worked(erasing.carry_out)
    unknown = request.steps.get(dataset__name="survey")
    assert (unknown.state, unknown.outcome, unknown.located_rows) == ("done", "erased", 1)


def test_a_plan_that_was_cut_keeps_the_request_open(lake, monkeypatch):
    real = plans.downstream
    monkeypatch.setattr(
        plans, "downstream",
        lambda of: type(real(of))(real(of).depth, real(of).clear, truncated=True),
    )  # fmt: skip
    request = made.asked()
    assert planned.planned(request).plan.content["truncated"] is True
    cut = "the plan: the flows were too many to follow, so data sets may be missing"
    assert requests.standing(request.uuid).outstanding[0] == cut


def test_somebody_who_is_nowhere_has_an_empty_plan_that_nobody_need_approve(lake):
    made.reviewed(2)
    request = made.asked(made.person("eve@example.org"))
    plan = planned.planned(request)
    assert (plan.plan.approvals, plan.waits, plan.plan.content["steps"]) == (0, False, [])


def test_without_a_policy_a_plan_is_kept_and_carried_out_at_once(lake):
    request = made.asked()
    plan = ErasurePlan.objects.get(request=request)
    assert (plan.number, plan.approvals) == (1, 0)
    assert plan.digest == plans.digest_of(plan.content)
    made.worked(erasing.carry_out)
    assert (lake.rows(), lake.features_rows()) == ([made.BOB], [made.BOB])


def test_nothing_is_touched_while_a_plan_waits(lake):
    made.reviewed()
    request = made.asked()
    made.worked(erasing.carry_out)
    for step in request.steps.all():
        assert erasing.carry_out(dataset_id=step.dataset_id) == 0
    assert forgetting.forget(request.pk) == 0
    assert set(request.steps.values_list("attempt", flat=True)) == {0}
    assert (lake.rows(), lake.features_rows()) == (
        [made.ANN, made.ANN, made.BOB], [made.ANN, made.BOB],
    )  # fmt: skip
    standing = requests.standing(request.uuid)
    assert standing.state is RequestState.REVIEW
    assert standing.outstanding[0] == "the plan: waits for approval"
    assert certificate(standing)["state"] == "review"


def looked(request) -> dict[str, tuple]:
    looking.ask(request=request, by="staff:1")
    for due in planned.looks_to_do():
        assert looking.look(dry_run_id=due.pk) is True
    found = planned.planned(request).looks.values()
    return {each.dataset.name: (each.rows, each.parts, each.code) for each in found}


def test_a_dry_run_counts_rows_and_parts_and_touches_nothing(lake):
    made.reviewed()
    request = made.asked()
    assert looked(request) == {
        "survey": (None, [], "unknown_upstream"),
        "patients": (2, ["patients"], ""),
        "features": (1, ["part.parquet"], ""),
        "export": (None, [], "no_storage"),
    }
    assert (lake.rows(), lake.features_rows()) == (
        [made.ANN, made.ANN, made.BOB], [made.ANN, made.BOB],
    )  # fmt: skip
    assert set(request.steps.values_list("attempt", "located_rows")) == {(0, None)}
    assert not planned.planned(request).looking
    assert made.ANN not in str(list(DryRun.objects.values()))


def test_a_storage_that_cannot_be_read_is_named_by_its_code(lake):
    made.reviewed()
    request = made.asked()
    lake.file.unlink()
    Storage.objects.filter(name="clinic").update(enabled=False)
    found = looked(request)
    assert found["features"] == (None, [], "storage_missing")
    assert found["patients"] == (None, [], "storage_disabled")


def test_somebody_who_is_not_known_by_the_data_set_s_identifier_is_not_counted_as_nobody(lake):
    made.reviewed()
    request = made.asked()
    register_dataset(
        name="features", namespace="test", storage=Storage.objects.get(name="shelf"),
        location="*.parquet", subject_column="email", subject_scheme="phone",
    )  # fmt: skip
    assert looked(request)["features"] == (None, [], "identifier_missing")


def test_a_dry_run_that_goes_on_is_not_begun_again_and_an_ended_one_is(lake):
    made.reviewed()
    request = made.asked()
    for _ in range(2):
        looking.ask(request=request, by="staff:1")
    assert DryRun.objects.count() == 4
    looked(request)
    looking.ask(request=request, by="staff:1")
    assert DryRun.objects.count() == 8
    assert planned.planned(request).looking
    told = RequestRecord.objects.filter(request=request, kind="erasure.dry_run")
    assert told.count() == 2


def test_a_plan_that_was_decided_is_looked_at_no_more(lake):
    made.reviewed()
    request = made.asked()
    looking.ask(request=request, by="staff:1")
    due = DryRun.objects.get(dataset=lake.patients)
    second = reject(request=request, digest=made.digest(request), by="staff:1", reason="again")
    assert looking.look(dry_run_id=due.pk) is False
    looking.ask(request=request, by="staff:1")
    assert planned.looks_to_do().count() == 4
    approve(request=request, digest=second.digest, by="staff:1")
    assert not planned.looks_to_do().exists()
    assert not planned.planned(request).looking
    assert set(DryRun.objects.values_list("attempt", "finished_at")) == {(0, None)}


def test_a_look_is_one_worker_s_until_its_lease_ends_and_a_late_answer_is_not_kept(lake):
    made.reviewed()
    request = made.asked()
    looking.ask(request=request, by="staff:1")
    due = DryRun.objects.get(dataset=lake.patients)
    token = looking._claim(due.pk)
    assert looking.look(dry_run_id=due.pk) is False
    DryRun.objects.filter(pk=due.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert looking.look(dry_run_id=due.pk) is True
    due.refresh_from_db()
    assert looking._finish(due, token, code="late") is False
    due.refresh_from_db()
    assert (due.rows, due.code, due.attempt) == (2, "", 2)


def test_a_look_that_loses_worker_after_worker_ends_with_that_as_its_answer(lake):
    made.reviewed()
    request = made.asked()
    looking.ask(request=request, by="staff:1")
    DryRun.objects.filter(dataset=lake.patients).update(attempt=looking.MOST_ATTEMPTS)
    due = DryRun.objects.get(dataset=lake.patients)
    assert looking.look(dry_run_id=due.pk) is True
    due.refresh_from_db()
    assert (due.rows, due.code) == (None, "workers_lost")


def test_a_plan_that_nobody_has_to_approve_is_not_looked_at(lake):
    request = made.asked()
    with pytest.raises(PlanNotWaitingError):
        looking.ask(request=request, by="staff:1")
    unplanned = open_erasure(subject=made.person("x@example.org"), key=uuid4(), verified=True)
    with pytest.raises(PlanNotWaitingError):
        looking.ask(request=unplanned, by="staff:1")
    assert not DryRun.objects.exists()


def test_a_plan_is_written_once(lake):
    request = made.asked()
    assert planning.plan(request.pk) == 0
    assert ErasurePlan.objects.count() == 1


def plan_row(**facts) -> ErasurePlan:
    request = open_erasure(subject=made.person("p@example.org"), key=uuid4(), verified=True)
    wanted = {"request": request, "number": 1, "content": {}, "digest": "d", "approvals": 1}
    return ErasurePlan.objects.create(**wanted | facts)


@pytest.mark.parametrize("model", [ErasurePlan, PlanApproval, PlanRejection])
def test_plans_and_what_was_said_of_them_are_never_changed(model):
    plan = plan_row()
    PlanApproval.objects.create(plan=plan, by="staff:1")
    PlanRejection.objects.create(plan=plan, by="staff:1", reason="r")
    row = model.objects.get()
    rows = model.objects.filter(pk=row.pk)
    for change in (lambda: rows.update(id=row.pk), lambda: rows._raw_delete("default")):
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            change()
    assert model.objects.filter(pk=row.pk).exists()


def test_steps_that_existed_before_there_were_approvals_can_be_done(lake):
    request = made.asked()
    step = ErasureStep(request=request, dataset=Dataset.objects.get(name="codes"), position=9)
    step.certainty = "inferred"
    step.save()
    step.refresh_from_db()
    assert step.released_at is not None
