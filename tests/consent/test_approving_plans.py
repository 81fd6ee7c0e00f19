"""Who has to approve a plan, what an approval is bound to, and that none is counted twice."""

import importlib
import threading

import pytest
from django.db import IntegrityError, connection, transaction

from consent.models import ErasurePlan, ErasureStep, PlanApproval, PlanRejection, RequestRecord
from consent.selectors import planned, requests
from consent.selectors.requests import RequestState
from consent.services import approving, claims, erasing, refusing, retrying
from consent.services.approving import (
    ApprovedAlreadyError,
    PersonNeededError,
    PlanChangedError,
    PlanNotWaitingError,
    approve,
    reject,
)
from consent.services.retrying import StepNotBlockedError, retry_step
from consent.services.settling import StepSettledError, settle_step
from governance.keys import organisation_key
from governance.models import Dataset, Storage
from governance.policy_rules import PolicyRulesUnusableError, demands
from governance.selectors.ledger import opened
from governance.services import rules
from tests.factories import plans as made
from tests.factories.consent import take
from tests.factories.events import dataset as said
from tests.factories.events import run
from tests.factories.portal import learn

pytestmark = pytest.mark.django_db


@pytest.fixture
def lake(tmp_path) -> made.Lake:
    return made.lake(tmp_path)


def kinds(request) -> list[str]:
    return list(request.records.order_by("pk").values_list("kind", flat=True))


def test_one_approval_begins_the_erasure_where_one_is_asked_for(lake):
    made.reviewed()
    request = made.asked()
    approve(request=request, digest=made.digest(request), by="staff:1")
    assert requests.standing(request.uuid).state is RequestState.ERASING
    made.worked(erasing.carry_out)
    assert (lake.rows(), lake.features_rows()) == ([made.BOB], [made.BOB])
    assert kinds(request)[:4] == [
        "request.received", "remediation.opened", "erasure.planned", "erasure.approved",
    ]  # fmt: skip
    approved = PlanApproval.objects.get()
    assert (approved.plan.request, approved.by) == (request, "staff:1")


def test_where_two_are_asked_for_it_takes_two_people(lake):
    made.reviewed(2)
    request = made.asked()
    approve(request=request, digest=made.digest(request), by="staff:1")
    assert not requests.steps_to_do().exists()
    with pytest.raises(ApprovedAlreadyError):
        approve(request=request, digest=made.digest(request), by="staff:1")
    assert not requests.steps_to_do().exists()
    approve(request=request, digest=made.digest(request), by="staff:2")
    assert requests.steps_to_do().exists()
    assert list(PlanApproval.objects.values_list("by", flat=True)) == ["staff:1", "staff:2"]


@pytest.mark.parametrize("first", [True, False])
def test_a_key_is_not_one_of_two_people_whoever_uses_it(lake, first):
    made.reviewed(2)
    request = made.asked()
    if not first:
        approve(request=request, digest=made.digest(request), by="staff:1")
    with pytest.raises(PersonNeededError):
        approve(request=request, digest=made.digest(request), by="client:x")
    assert PlanApproval.objects.count() == int(not first)
    assert not requests.steps_to_do().exists()
    assert planned.planned(request).waits


def test_the_database_refuses_it_as_well_and_lets_a_key_approve_where_one_is_enough(lake):
    made.reviewed(2)
    plan = planned.planned(made.asked()).plan
    with pytest.raises(IntegrityError) as broken, transaction.atomic():
        PlanApproval.objects.create(plan=plan, by="client:x")
    assert broken.value.__cause__.diag.constraint_name == "consent_approval_of_two_by_people"
    made.reviewed(1)
    request = made.asked(made.person(made.BOB))
    approve(request=request, digest=made.digest(request), by="client:x")
    assert PlanApproval.objects.get().by == "client:x"


def test_what_a_key_had_said_before_that_has_another_plan_made_for_two_people(lake):
    moved = importlib.import_module("consent.migrations.0023_who_approves_and_who_was_told")
    made.reviewed(2)
    request = made.asked()
    first = planned.planned(request).plan
    with connection.cursor() as cursor:
        cursor.execute(moved.ALLOW)
        PlanApproval.objects.create(plan=first, by="client:x")
        cursor.execute(moved.REFUSE)
    with pytest.raises(PlanChangedError):
        approve(request=request, digest=first.digest, by="staff:1")
    second = planned.planned(request)
    assert (second.plan.number, second.approvals) == (2, [])
    assert second.rejected[0].reason == "a key had approved it, and two people have to"
    assert not requests.steps_to_do().exists()


def test_an_approved_plan_needs_nobody_else(lake):
    made.reviewed()
    request = made.asked()
    digest = made.digest(request)
    approve(request=request, digest=digest, by="staff:1")
    for late in (
        lambda: approve(request=request, digest=digest, by="staff:2"),
        lambda: reject(request=request, digest=digest, by="staff:2", reason="too late"),
    ):
        with pytest.raises(PlanNotWaitingError):
            late()
    assert PlanApproval.objects.count() == 1
    assert not PlanRejection.objects.exists()


def test_what_was_not_read_is_not_approved(lake):
    made.reviewed()
    request = made.asked()
    with pytest.raises(PlanChangedError):
        approve(request=request, digest="0" * 64, by="staff:1")
    with pytest.raises(PlanChangedError):
        reject(request=request, digest="0" * 64, by="staff:1", reason="r")
    assert not PlanApproval.objects.exists()
    assert ErasurePlan.objects.count() == 1


def more_data_flows() -> None:
    learn(run("spread", 20, 21, reads=["features"], writes=["more"]))


def somewhere_else() -> None:
    Dataset.objects.filter(name="patients").update(location="other")


def masked_instead_of_deleted() -> None:
    Dataset.objects.filter(name="patients").update(erasure_options={"mask": ["email"]})


def switched_off() -> None:
    Storage.objects.filter(name="clinic").update(enabled=False)


def a_list_leaves_them_out() -> None:
    take(Dataset.objects.get(name="features"), [made.BOB], mode="replace", scheme="email")


@pytest.mark.parametrize(
    "change",
    [more_data_flows, somewhere_else, masked_instead_of_deleted, switched_off,
     a_list_leaves_them_out],
)  # fmt: skip
def test_what_changed_after_it_was_read_is_not_approved_but_planned_anew(lake, change):
    made.reviewed(2)
    request = made.asked()
    first = planned.planned(request).plan
    approve(request=request, digest=first.digest, by="staff:1")
    change()
    with pytest.raises(PlanChangedError):
        approve(request=request, digest=first.digest, by="staff:2")
    second = planned.planned(request)
    assert (second.plan.number, second.waits, second.approvals) == (2, True, [])
    assert second.plan.digest != first.digest
    assert [(each.by, each.plan) for each in second.rejected] == [("", first)]
    names = [each["name"] for each in second.plan.content["steps"]]
    ordered = request.steps.order_by("position", "pk")
    assert list(ordered.values_list("dataset__name", flat=True)) == names
    assert not requests.steps_to_do().exists()
    for by in ("staff:1", "staff:2"):
        approve(request=request, digest=second.plan.digest, by=by)
    assert requests.steps_to_do().exists()


def test_a_model_trained_meanwhile_does_not_undo_what_was_read(lake):
    made.reviewed()
    request = made.asked()
    model = said("model", model=True, version="2")
    learn(run("train", 30, 31, reads=["features"], writes=[model], run="later"))
    approve(request=request, digest=made.digest(request), by="staff:1")
    assert requests.steps_to_do().exists()


def test_a_rejection_makes_another_plan_and_refuses_nobody_anything(lake):
    made.reviewed()
    request = made.asked()
    before = set(request.steps.values_list("pk", flat=True))
    again = reject(request=request, digest=made.digest(request), by="staff:1", reason="look again")
    assert (again.number, planned.planned(request).plan) == (2, again)
    assert before.isdisjoint(request.steps.values_list("pk", flat=True))
    request.refresh_from_db()
    assert (request.refused_at, requests.standing_of(request).state) == (None, RequestState.REVIEW)
    assert request.remediations.count() == 1
    told = RequestRecord.objects.get(kind="erasure.plan_rejected")
    facts = opened(told.record, organisation_key())["facts"]
    assert facts == {"request": str(request.uuid), "plan": facts["plan"], "by": "staff:1"}
    approve(request=request, digest=again.digest, by="staff:1")
    made.worked(erasing.carry_out)
    assert lake.rows() == [made.BOB]


def test_the_strictest_policy_in_force_counts_and_only_for_its_categories(lake):
    made.reviewed(1)
    needs = [{"categories": ["loans"], "approvals": 2}]
    other = rules.draft_policy(key="loans", title="t", text="x", rules={"needs": needs})
    rules.publish_policy(policy=other.policy)
    content = planned.planned(made.asked()).plan.content
    assert (content["approvals"], content["policies"]) == (1, ["health 1"])
    everything = rules.draft_policy(
        key="all", title="t", text="x", rules={"needs": [{"approvals": 2}]}
    )
    assert planned.planned(made.asked(made.person(made.BOB))).plan.approvals == 1
    rules.publish_policy(policy=everything.policy)
    Dataset.objects.filter(name="features").update(categories=["loans"])
    request = made.asked(made.person("carl@example.org"))
    assert planned.planned(request).plan.approvals == 0  # nothing of Carl's is anywhere
    take(lake.features, ["dora@example.org"], scheme="email")
    content = planned.planned(made.asked(made.person("dora@example.org"))).plan.content
    assert (content["approvals"], content["policies"]) == (2, ["loans 1", "all 1"])


def test_a_demand_for_approvals_is_about_erasures_and_about_nothing_else():
    [asked] = demands({"needs": [{"categories": ["Health"], "approvals": 2}]})
    assert (asked.approvals_for(["health"]), asked.approvals_for(["loans"])) == (2, 0)
    assert not asked.applies(purposes=["any"], categories=["health"])
    assert asked.sentences() == [
        "Before data about health is erased, two different people have to approve the plan."
    ]
    [asked] = demands({"needs": [{"approvals": 1}]})
    assert asked.sentences() == ["Before data is erased, one person has to approve the plan."]
    [use] = demands({"needs": [{"consent": True}]})
    assert use.approvals_for(["health"]) == 0


@pytest.mark.parametrize(
    "entry",
    [
        {"approvals": 0}, {"approvals": 3}, {"approvals": True}, {"approvals": "2"},
        {"approvals": 1, "purposes": ["training"]}, {"approvals": 1, "consent": True},
        {"approvals": 1, "consent": False},
    ],
)  # fmt: skip
def test_demands_for_approvals_that_cannot_be_run_are_refused(entry):
    with pytest.raises(PolicyRulesUnusableError):
        demands({"needs": [entry]})


def together(*work) -> list[str]:
    """Do things at the same moment; return what became of each."""
    ready, ended = threading.Barrier(len(work)), []

    def one(do) -> None:
        ready.wait()
        try:
            do()
            ended.append("done")
        except (ApprovedAlreadyError, PlanNotWaitingError, StepNotBlockedError) as error:
            ended.append(error.code)
        finally:
            connection.close()

    threads = [threading.Thread(target=one, args=[each]) for each in work]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sorted(ended)


@pytest.mark.django_db(transaction=True)
def test_approvals_at_the_same_moment_are_counted_once_each(tmp_path):
    made.lake(tmp_path)
    made.reviewed(2)
    request = made.asked()
    digest = made.digest(request)

    def pressed(by: str):
        return lambda: approve(request=request, digest=digest, by=by)

    assert together(pressed("staff:1"), pressed("staff:1")) == ["done", "plan_approved_by_you"]
    assert not requests.steps_to_do().exists()
    ends = together(pressed("staff:2"), pressed("staff:3"))
    assert ends == ["done", "plan_not_waiting"]
    assert PlanApproval.objects.count() == 2
    assert not ErasureStep.objects.filter(released_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_two_different_last_approvals_release_once_and_both_firsts_count(tmp_path):
    made.lake(tmp_path)
    made.reviewed(2)
    request = made.asked()
    digest = made.digest(request)
    people = ("staff:1", "staff:2")
    ends = together(
        *(lambda by=by: approve(request=request, digest=digest, by=by) for by in people)
    )
    assert ends == ["done", "done"]
    assert not ErasureStep.objects.filter(released_at=None).exists()


@pytest.mark.django_db(transaction=True)
def test_two_who_retry_at_the_same_moment_retry_once(tmp_path):
    made.lake(tmp_path)
    request = made.asked()
    made.worked(erasing.carry_out)
    step = request.steps.get(dataset__name="export")
    work = [lambda by=by: retry_step(step=step, by=by) for by in ("a", "b")]
    assert together(*work) == ["done", "step_not_blocked"]
    assert RequestRecord.objects.filter(kind="erasure.retried").count() == 1


def test_a_blocked_step_is_tried_again_at_once_and_the_ledger_knows_who_wanted_it(lake):
    switched_off()
    request = made.asked()
    made.worked(erasing.carry_out)
    step = request.steps.get(dataset=lake.patients)
    assert (step.state, step.code, step.attempt) == ("blocked", "storage_disabled", 1)
    assert step.dataset_id not in requests.datasets_to_erase_from()
    Storage.objects.update(enabled=True)
    retry_step(step=step, by="staff:1")
    step.refresh_from_db()
    assert (step.state, step.code, step.reason, step.attempt) == ("ready", "", "", 1)
    assert step.dataset_id in requests.datasets_to_erase_from()
    made.worked(erasing.carry_out)
    assert lake.rows() == [made.BOB]
    assert kinds(request).count("erasure.retried") == 1


def test_what_runs_is_done_or_has_its_turn_is_not_tried_again(lake):
    request = made.asked()
    step = request.steps.get(dataset=lake.patients)
    with pytest.raises(StepNotBlockedError):
        retry_step(step=step, by="staff:1")
    claims.claim(dataset_id=step.dataset_id, limit=1)
    with pytest.raises(StepNotBlockedError):
        retry_step(step=step, by="staff:1")
    ErasureStep.objects.filter(pk=step.pk).update(lease_until=None, state="blocked", code="x")
    settle_step(step=step, outcome="by_hand", code="done", reason="r", evidence="seen")
    with pytest.raises(StepNotBlockedError):
        retrying.retry_step(step=step, by="staff:1")
    assert "erasure.retried" not in kinds(request)


def test_what_waits_for_approval_is_neither_tried_again_nor_settled(lake):
    made.reviewed()
    request = made.asked()
    step = request.steps.get(dataset__name="survey")
    assert step.state == "blocked"
    with pytest.raises(StepNotBlockedError):
        retry_step(step=step, by="staff:1")
    with pytest.raises(StepSettledError):
        settle_step(step=step, outcome="by_hand", code="c", reason="r", evidence="seen")
    step.refresh_from_db()
    assert (step.state, step.finished_at) == ("blocked", None)


def test_what_is_settled_by_hand_keeps_what_shows_it(lake):
    request = made.asked()
    made.worked(erasing.carry_out)
    step = request.steps.get(dataset__name="export")
    settle_step(
        step=step, outcome="by_hand", code="dropped", reason="r", evidence="seen by two",
        document_sha256="A" * 64, by="staff:1",
    )  # fmt: skip
    step.refresh_from_db()
    assert step.evidence == {"said": "seen by two", "document_sha256": "a" * 64}
    from consent.selectors.certificates import certificate

    shown = certificate(requests.standing(request.uuid))
    evidence = {each["name"]: each["evidence"] for each in shown["datasets"]}
    assert evidence["export"] == {"document_sha256": "a" * 64}
    assert "seen by two" not in str(shown)


def test_approving_needs_a_plan_that_waits(lake):
    request = made.asked()
    with pytest.raises(PlanNotWaitingError):
        approving.approve(request=request, digest=made.digest(request), by="staff:1")


def test_a_refusal_leaves_nothing_to_approve_and_touches_nothing(lake):
    made.reviewed()
    request = made.asked()
    digest, before = made.digest(request), lake.rows()
    refusing.refuse(request=request, ground="art_17_3_b")
    request.refresh_from_db()
    assert requests.standing_of(request).state is RequestState.REFUSED
    assert planned.planned(request).waits is False
    for decide in (
        lambda: approve(request=request, digest=digest, by="operator:7"),
        lambda: reject(request=request, digest=digest, by="operator:7", reason="no"),
    ):
        with pytest.raises(PlanNotWaitingError):
            decide()
    made.worked(erasing.carry_out)
    assert lake.rows() == before
    ends = set(request.steps.values_list("state", "outcome", "code"))
    assert ends == {("done", "exempt", "art_17_3_b")}
