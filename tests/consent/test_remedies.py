"""A model version is good while something shown holds, and open again when it does not."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction
from django.db.models import F
from django.test import Client
from django.utils import timezone

from consent import tasks
from consent.models import (
    Escalation,
    Remediation,
    RemediationMeasure,
    RequestRecord,
    RightsRequest,
)
from consent.selectors import guarantees, requests
from consent.selectors.certificates import certificate
from consent.selectors.requests import RequestState
from consent.services import escalating, remedies
from consent.services.colleagues import PersonNeededError
from governance.models import WebhookKind, WebhookMessage
from governance.services import webhooks
from governance.services.registry import register_model
from lineage.models import ModelVersion
from lineage.services import deployments
from tests.factories.desk import colleague
from tests.factories.events import dataset, run
from tests.factories.governance import issued_key
from tests.factories.remedies import (
    ENDING,
    EVIDENCE,
    approve,
    asked,
    by_hand,
    client,
    library,
    look,
    standing,
    take,
)
from tests.factories.training import facet, learn, train

pytestmark = pytest.mark.django_db

CLOSING = {"unlearn_certified": "unlearned", "exempt_legal": "exempt"}


@pytest.fixture
def request_(db) -> RightsRequest:
    library()
    train(facet())
    return asked()


def deployed(environment="prod"):
    made = ModelVersion.objects.order_by("pk").first()
    since = timezone.now() - timedelta(days=1)
    return deployments.start(made=made, environment=environment, since=since).deployment


def stop(deployment) -> None:
    deployments.end(deployment=deployment, until=timezone.now())


def pass_time() -> None:
    """Let every end that a measure has be over."""
    RemediationMeasure.objects.filter(ends_at__isnull=False).update(
        taken_at=F("taken_at") - timedelta(days=400), ends_at=timezone.now() - timedelta(seconds=1)
    )


def kinds(request) -> list[str]:
    told = RequestRecord.objects.filter(request=request, kind__startswith="remediation")
    return list(told.order_by("pk").values_list("kind", flat=True))


def line(request) -> str:
    [found] = [each for each in requests.standing_of(request).outstanding if "model" in each]
    return found


def test_nobody_can_say_that_a_model_was_retrained(request_):
    with pytest.raises(remedies.RetrainingIsObservedError):
        take(request_, "retrain")
    assert not RemediationMeasure.objects.exists()


@pytest.mark.parametrize("kind", CLOSING)
def test_what_people_say_needs_two_of_them(request_, kind):
    measure = take(request_, kind)
    assert standing(request_).state == "unapproved"
    assert line(request_) == f"model test model: {kind} waits for a second person"
    for key in ("eva", "max"):
        with pytest.raises(PersonNeededError):
            remedies.approve(measure=measure, by=f"client:{client(key).uuid}")
    assert standing(request_).state == "unapproved"
    approve(measure, by="max")
    closed = standing(request_)
    assert (closed.state, closed.outcome) == ("closed", CLOSING[kind])
    assert closed.closed_at > measure.taken_at
    with pytest.raises(remedies.NothingToApproveError):
        approve(measure, by="ida")


def test_an_exemption_tells_its_code_and_is_open_again_after_its_review_date(request_):
    measure = take(request_, "exempt_legal")
    approve(measure)
    assert standing(request_).code == "a17_legal_claims"
    pass_time()
    assert (standing(request_).state, standing(request_).outcome) == ("open", "")
    assert line(request_) == "model test model: waits for a clean training"


@pytest.mark.parametrize("kind", ["unlearn_approximate", "suppress"])
def test_an_interim_measure_mitigates_closes_nothing_and_ends(request_, kind):
    place = deployed()
    evidence = EVIDENCE[kind] | ({"deployments": [str(place.uuid)]} if kind == "suppress" else {})
    ends = timezone.now() + timedelta(days=30)
    measure = take(request_, kind, evidence, ends_at=ends)
    assert (standing(request_).state, standing(request_).closed_at) == ("mitigated", None)
    assert line(request_) == (
        f"model test model: {kind} until {ends:%Y-%m-%d}, waits for a clean training"
    )
    with pytest.raises(remedies.NothingToApproveError):
        approve(measure)
    by_hand(request_)
    assert requests.standing_of(request_).state is RequestState.VERIFYING
    pass_time()
    assert standing(request_).state == "open"


def test_a_filter_covers_the_deployments_it_names_and_no_other(request_):
    place = deployed()
    evidence = EVIDENCE["suppress"] | {"deployments": [str(place.uuid)]}
    take(request_, "suppress", evidence)
    assert standing(request_).state == "mitigated"
    deployed("staging")
    assert standing(request_).state == "open"
    with pytest.raises(remedies.DeploymentUnknownError):
        take(request_, "suppress", evidence | {"deployments": [str(uuid4())]})


def test_a_retired_version_is_closed_when_its_last_deployment_has_ended(request_):
    first, second = deployed("prod-eu"), deployed("prod-us")
    take(request_, "retire")
    assert standing(request_).state == "retiring"
    assert line(request_) == (
        "model test model: declared retired, and still in use in prod-eu, prod-us"
    )
    stop(first)
    assert standing(request_).state == "retiring"
    stop(second)
    closed = standing(request_)
    second.refresh_from_db()
    assert (closed.outcome, closed.closed_at) == ("retired", second.ended_at)
    assert kinds(request_)[-1] == "remediation.measure_taken"
    look(request_)
    assert kinds(request_)[-1] == "remediation.closed"


def test_where_no_deployment_is_known_a_retirement_needs_two(request_):
    measure = take(request_, "retire")
    assert standing(request_).state == "unapproved"
    approve(measure)
    assert standing(request_).outcome == "retired"


def test_a_new_deployment_opens_what_was_retired_and_that_is_told_once(request_):
    webhooks.register(
        client=client("ear"), url="https://example.org/", kinds=[WebhookKind.REMEDIATION_REOPENED]
    )
    stop(deployed())
    take(request_, "retire")
    by_hand(request_)
    request_.refresh_from_db()
    assert requests.standing_of(request_).state is RequestState.COMPLETED
    assert request_.completion_recorded_at is not None
    RightsRequest.objects.update(observed_at=timezone.now() + timedelta(hours=1))
    assert not requests.to_observe().exists()

    again = deployments.start(
        made=ModelVersion.objects.get(), environment="prod", since=timezone.now()
    ).deployment
    assert requests.standing_of(request_).state is RequestState.VERIFYING
    assert list(requests.to_observe()) == [request_]
    look(request_)
    look(request_)
    assert kinds(request_)[-2:] == ["remediation.closed", "remediation.reopened"]
    request_.refresh_from_db()
    assert request_.completion_recorded_at is None
    assert [each.payload for each in WebhookMessage.objects.all()] == [
        {"model_version": str(standing(request_).model_version.uuid),
         "request": str(request_.uuid)}
    ]  # fmt: skip
    stop(again)
    look(request_)
    assert requests.standing_of(request_).state is RequestState.COMPLETED


def test_a_clean_training_closes_what_was_only_mitigated_and_then_nothing_is_to_do(request_):
    take(request_, "unlearn_approximate")
    Remediation.objects.update(
        outcome="retrained", closed_at=timezone.now(), closed_by=_another_version()
    )
    assert standing(request_).outcome == "retrained"
    with pytest.raises(remedies.RemediationClosedError):
        take(request_, "exempt_legal")


def _another_version() -> ModelVersion:
    train(None, reads=(), minutes=60, name="later")
    return ModelVersion.objects.order_by("pk").last()


@pytest.mark.parametrize("kind", ["exempt_guarantee", "exempt_masked", "exempt_legal"])
def test_nothing_is_exempt_where_the_lineage_has_a_gap(kind):
    library()
    train(facet(), reads=("loans", "somewhere"))
    with pytest.raises(guarantees.LineageGapError):
        take(asked(), kind)
    assert not RemediationMeasure.objects.exists()


def test_an_exemption_lapses_when_a_gap_comes_to_light(request_):
    approve(take(request_, "exempt_legal"))
    assert standing(request_).outcome == "exempt"
    train(facet(), reads=("loans", "somewhere"), name="r")
    look(request_)
    assert standing(request_).state == "open"
    lapsed = RemediationMeasure.objects.get()
    assert (lapsed.lapsed_code, lapsed.lapsed_at is not None) == ("lineage_gap", True)
    assert kinds(request_)[-2:] == ["remediation.measure_lapsed", "remediation.reopened"]


def test_what_an_exemption_rests_on_is_looked_at_every_hour(request_):
    approve(take(request_, "exempt_legal"))
    RightsRequest.objects.update(observed_at=timezone.now() + timedelta(hours=1))
    assert not requests.to_observe().exists()
    RemediationMeasure.objects.update(checked_at=timezone.now() - timedelta(minutes=61))
    assert list(requests.to_observe()) == [request_]
    look(request_)
    RightsRequest.objects.update(observed_at=timezone.now() + timedelta(hours=1))
    assert not requests.to_observe().exists()


def test_the_same_key_records_one_measure(request_):
    key = uuid4()
    first = take(request_, "unlearn_approximate", key=key)
    assert take(request_, "unlearn_approximate", key=key) == first
    with pytest.raises(remedies.MeasureKeyReusedError):
        take(request_, "exempt_legal", key=key)
    assert RemediationMeasure.objects.count() == 1


def masked(masking: bool) -> None:
    library()
    features = dataset("features", columns={"age": [("loans", "email", masking)]})
    learn(run("build", 0, 1, reads=["loans"], writes=[features]))
    train(facet(), reads=("features",), minutes=2)


def test_a_model_to_which_every_way_is_masked_is_exempt_without_anybodys_word():
    masked(masking=True)
    request = asked()
    take(request, "exempt_masked")
    closed = standing(request)
    assert (closed.outcome, closed.code) == ("exempt", "exempt_masked")
    assert closed.measures[0].evidence == {"data_sets": 1}


def test_a_way_without_a_mask_is_none():
    masked(masking=False)
    with pytest.raises(guarantees.NotMaskedError):
        take(asked(), "exempt_masked")


def derived() -> RightsRequest:
    """Fine-tune a base model twice in a row, and merge the base with a model of other data."""
    library()
    for name in ("tuned", "tuned-again", "other", "merged"):
        register_model(namespace="test", name=name)
    train(facet())
    learn(run("tune", 5, 6, reads=["model", "questions"], writes=["tuned"]))
    learn(run("tune.again", 7, 8, reads=["tuned"], writes=["tuned-again"]))
    learn(run("other", 5, 6, reads=["weather"], writes=["other"]))
    learn(run("merge", 9, 10, reads=["model", "other"], writes=["merged"]))
    return asked()


def open_ones(request) -> list[str]:
    found = [each for each in requests.standing_of(request).remediations if not each.closed_at]
    return sorted(each.model_version.model.dataset.name for each in found)


def test_fine_tunes_and_merges_have_their_own_and_the_closing_of_the_base_closes_none():
    request = derived()
    assert open_ones(request) == ["merged", "model", "tuned", "tuned-again"]
    approve(take(request, "exempt_legal"))
    look(request)
    assert open_ones(request) == ["merged", "tuned", "tuned-again"]
    approve(take(request, "unlearn_certified", name="tuned"))
    assert open_ones(request) == ["merged", "tuned-again"]


def test_what_is_made_of_an_affected_model_after_completion_opens_the_request_again(request_):
    register_model(namespace="test", name="tuned")
    stop(deployed())
    take(request_, "retire")
    by_hand(request_)
    RightsRequest.objects.update(observed_at=timezone.now() - timedelta(hours=1))
    assert tasks.watch() == 0
    events = run("tune", 0, 0, reads=["model"], writes=["tuned"])
    learn([each | {"eventTime": timezone.now().isoformat()} for each in events])
    assert tasks.watch() == 1
    request_.refresh_from_db()
    assert open_ones(request_) == ["tuned"]
    assert request_.completion_recorded_at is None
    assert "request.reopened" in request_.records.values_list("kind", flat=True)


def due_in(**more) -> None:
    due = timezone.now() + timedelta(**more)
    RightsRequest.objects.update(received_at=due - timedelta(days=90), due_at=due)


def test_a_delay_is_told_a_week_before_and_when_it_is_late_once_each(request_):
    wanted = [WebhookKind.REMEDIATION_DUE, WebhookKind.REMEDIATION_OVERDUE]
    webhooks.register(client=client("ear"), url="https://example.org/", kinds=wanted)
    due_in(days=8)
    assert escalating.escalate(limit=9) == 0
    due_in(days=6)
    assert [escalating.escalate(limit=9) for _ in range(2)] == [1, 0]
    due_in(days=-1)
    assert [escalating.escalate(limit=9) for _ in range(2)] == [1, 0]
    [late] = Remediation.objects.all()
    assert escalating._tell(late, Escalation.Kind.OVERDUE) == 0, "nor by who looked meanwhile"
    assert kinds(request_)[-2:] == ["remediation.due_soon", "remediation.overdue"]
    named = {"model_version": str(standing(request_).model_version.uuid),
             "request": str(request_.uuid)}  # fmt: skip
    assert list(WebhookMessage.objects.order_by("pk").values_list("kind", "payload")) == [
        ("remediation.due", named), ("remediation.overdue", named),
    ]  # fmt: skip


def test_where_something_was_done_only_lateness_is_told_and_nothing_of_what_is_closed(request_):
    due_in(days=6)
    measure = take(request_, "exempt_legal")
    assert escalating.escalate(limit=9) == 0
    due_in(days=-1)
    assert escalating.escalate(limit=9) == 1
    Escalation.objects.all().delete()
    approve(measure)
    assert escalating.escalate(limit=9) == 0


def test_an_owner_can_be_given_a_date_that_is_earlier_and_never_later(request_):
    sooner = request_.due_at - timedelta(days=20)
    remedies.assign(remediation=standing(request_), owner="vision team", due_at=sooner)
    held = standing(request_)
    assert (held.owner, held.due_at) == ("vision team", sooner)
    with pytest.raises(remedies.DueDateUnusableError):
        remedies.assign(remediation=held, owner="x", due_at=request_.due_at + timedelta(seconds=1))
    assert standing(request_).owner == "vision team"


class Desk:
    """An operator with a key."""

    def __init__(self, name: str) -> None:
        scopes = ("requests:read", "requests:write")
        self.headers = {"Authorization": f"Bearer {issued_key(*scopes, client_name=name)}"}

    def post(self, path: str, body=None, **headers):
        return Client(headers={**self.headers, "Idempotency-Key": str(uuid4()), **headers}).post(
            f"/api/v1/remediations{path}", body or {}, content_type="application/json"
        )

    def get(self, path: str = "", **asked):
        return Client(headers=self.headers).get(f"/api/v1/remediations{path}", asked)


def test_operators_list_assign_and_take_over_http_and_a_person_approves_at_the_desk(request_):
    eva, bob = Desk("eva"), Desk("bob")
    [listed] = eva.get().json()["results"]
    path = f"/{listed['uuid']}"
    assert (listed["state"], listed["outstanding"]) == ("open", "waits for a clean training")
    assert eva.post(f"{path}/assignment", {"owner": "vision"}).json()["owner"] == "vision"
    assert len(eva.get(owner="vision").json()["results"]) == 1
    assert eva.get(owner="audio").json()["results"] == []
    assert eva.get(due_before="2020-01-01T00:00:00Z").json()["results"] == []
    until = (timezone.now() + timedelta(days=9)).isoformat()
    said = {"kind": "exempt_legal", "evidence": EVIDENCE["exempt_legal"], "ends_at": until}
    taken = eva.post(f"{path}/measures", said)
    assert (taken.status_code, taken.json()["state"]) == (201, "unapproved")
    [measure] = taken.json()["measures"]
    assert (measure["by"], measure["approved_by"]) == ("eva", None)
    approval = f"{path}/measures/{measure['uuid']}/approval"
    for desk in (eva, bob):
        refused = desk.post(approval)
        assert (refused.status_code, refused.json()["code"]) == (403, "approval_needs_a_person")
    assert len(eva.get().json()["results"]) == 1
    olga = colleague()
    assert olga.post(f"/desk/measures/{measure['uuid']}/approve").status_code == 302
    assert eva.get().json()["results"] == []
    [closed] = eva.get(state="closed").json()["results"]
    assert (closed["outcome"], closed["code"], closed["outstanding"]) == (
        "exempt", "a17_legal_claims", "",
    )  # fmt: skip
    [stood_for] = closed["measures"]
    assert (stood_for["by"], stood_for["approved_by"][:6]) == ("eva", "staff:")


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"kind": "retrain", "evidence": {}}, 422, "retraining_is_observed"),
        ({"kind": "exempt_legal", "evidence": {}}, 422, "evidence_missing"),
        ({"kind": "exempt_legal", "evidence": EVIDENCE["exempt_legal"]}, 422, "end_unusable"),
        ({"kind": "retire", "evidence": "gone"}, 422, "evidence_unusable"),
        ({"kind": "exempt_guarantee", "evidence": {"epsilon": 1}}, 422, "evidence_unusable"),
        ({"kind": "exempt_guarantee", "evidence": {}}, 422, "not_private"),
        ({"kind": "forget_it", "evidence": {}}, 400, "invalid"),
    ],
)
def test_a_refusal_has_its_code_and_leaves_nothing(request_, said, status, code):
    answer = Desk("eva").post(f"/{standing(request_).uuid}/measures", said)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not RemediationMeasure.objects.exists()


def test_the_certificate_and_the_page_tell_of_measures_in_force(request_):
    ends = timezone.now() + timedelta(days=9)
    measure = take(request_, "unlearn_approximate", ends_at=ends)
    [model] = certificate(requests.standing_of(request_))["models"]
    assert model["outcome"] == "open"
    assert model["measures"] == [
        {"measure": str(measure.uuid), "kind": "unlearn_approximate", "in_force": True,
         "taken_at": measure.taken_at, "approved_at": None, "ends_at": measure.ends_at,
         "evidence_sha256": measure.digest()}
    ]  # fmt: skip
    page = Client().get(f"/requests/{request_.uuid}").content.decode()
    assert f"as far as tests can tell, which holds until {ends:%-d %B %Y}." in page
    assert "Waits for a training without your data." in page
    assert "privacy team" not in page


def impossible() -> dict:
    first = RemediationMeasure.objects.get()
    rows, late = RemediationMeasure.objects, timezone.now()

    def another(**facts):
        said = {"remediation": first.remediation, "idempotency_key": uuid4(), "kind": "retire",
                "evidence": {}, "by": first.by}  # fmt: skip
        return lambda: rows.create(**said | facts)

    return {
        "consent_measure_key_once": another(idempotency_key=first.idempotency_key),
        "consent_measure_kind_known": another(kind="wish"),
        "consent_measure_ends_by_its_kind": another(ends_at=late + timedelta(1)),
        "consent_measure_ends_later": another(kind="suppress", ends_at=late - timedelta(1)),
        "consent_measure_approved_by_another": another(approved_by_staff="staff:1"),
        "consent_measure_lapsed_with_code": another(lapsed_at=late),
        "consent_escalation_once": lambda: [
            Escalation.objects.create(remediation=first.remediation, kind="overdue")
            for _ in range(2)
        ],
        "consent_escalation_kind_known": lambda: Escalation.objects.create(
            remediation=first.remediation, kind="x"
        ),
    }  # fmt: skip


def test_impossible_rows_are_refused(request_):
    take(request_, "unlearn_approximate")
    named = {each.name for model in (RemediationMeasure, Escalation)
             for each in model._meta.constraints}  # fmt: skip
    assert named == set(impossible())
    for constraint, change in impossible().items():
        with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
            change()
    assert set(ENDING) == {each.value for each in remedies.measures.ENDING}
