"""An erasure whose models are affected, and what can be shown about them."""

from datetime import timedelta
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.utils import timezone

from consent.models import RightsRequest, Subject
from consent.selectors import remedies as selectors
from consent.selectors.subjects import by_identifier
from consent.services import forgetting, planning, remediation, remedies
from consent.services.requests import open_erasure
from consent.services.settling import settle_step
from governance.models import ApiClient
from tests.factories.training import ANN, BOB, loans_of, study

DIGEST = "0f" * 32
TEST = {"attack": "membership_inference", "metric": "auc",
        "before": 0.9, "after": 0.51, "threshold": 0.55}  # fmt: skip
UNLEARNED = {
    "method": "gradient ascent", "parameters": {"steps": 100, "rate": 1e-5},
    "forget_set_sha256": DIGEST, "test": TEST, "reviewed_by": "privacy team",
}  # fmt: skip
EVIDENCE = {
    "unlearn_certified": {**UNLEARNED, "certificate_sha256": DIGEST},
    "unlearn_approximate": UNLEARNED,
    "suppress": {"filter_rule": "rule-7", "deployments": [],
                 "probes": {"sha256": DIGEST, "asked": 500, "leaked": 0}},
    "retire": {"reason": "replaced", "artifacts": [{"name": "weights", "receipt": "deleted 4711"}]},
    "exempt_legal": {"code": "a17_legal_claims", "reason": "a lawsuit is pending"},
    "exempt_guarantee": {},
    "exempt_masked": {},
}  # fmt: skip
ENDING = {"unlearn_approximate", "suppress", "exempt_legal"}


def library() -> None:
    """Register a purpose, and loans that name Ann and Bob."""
    study()
    loans_of(ANN, BOB)


def ann() -> Subject:
    """Return Ann."""
    found = by_identifier("email", ANN)
    assert found is not None
    return found


def asked(person: Subject | None = None) -> RightsRequest:
    """Let somebody ask for their erasure, and plan it."""
    request = open_erasure(subject=person or ann(), key=uuid4(), verified=True)
    planning.plan(request.pk)
    request.refresh_from_db()
    return request


def by_hand(request: RightsRequest) -> None:
    """Settle every step by hand, as an operator does, and look again."""
    for step in request.steps.exclude(state="done"):
        request.steps.filter(pk=step.pk).update(state="blocked", code="no_storage")
        settle_step(step=step, outcome="by_hand", code="done", reason="deleted", evidence="seen")
    forgetting.forget(request.pk)
    look(request)


def look(request: RightsRequest) -> int:
    """Look at the models again, as the worker does."""
    return remediation.observe(request.pk)


def standing(request: RightsRequest, name: str = "model") -> selectors.Remedied:
    """Return where the model of a name stands."""
    found = request.remediations.get(model_version__model__dataset__name=name)
    return selectors.remediation(found.uuid)


def client(name: str) -> ApiClient:
    """Return a client, which brings evidence with its key."""
    return ApiClient.objects.get_or_create(name=name)[0]


def take(request: RightsRequest, kind: str, evidence=None, *, by="eva", name="model", **more):
    """Record a measure for a model, with the right evidence unless another is given."""
    ends = {"ends_at": timezone.now() + timedelta(days=30)} if kind in ENDING else {}
    return remedies.take(
        remediation=standing(request, name), kind=kind, by=client(by),
        evidence=EVIDENCE.get(kind, {}) if evidence is None else evidence,
        **{"key": uuid4(), **ends, **more},
    )  # fmt: skip


def approve(measure, by="max") -> None:
    """Stand for a measure, as a colleague of a name."""
    user = get_user_model().objects.get_or_create(username=by, is_staff=True)[0]
    remedies.approve(measure=measure, by=f"staff:{user.pk}")
