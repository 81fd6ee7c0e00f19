"""The gate: may these data sets be used for this purpose."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pyroaring import BitMap

from consent import gate_tokens
from consent.models import GateDecision, GateInput
from consent.selectors import gate as known
from consent.selectors import membership
from consent.selectors.decisions import excluded_from
from governance.models import ApiClient, Dataset, Purpose
from governance.services import ledger, signing
from lineage.models import DatasetVersion
from lineage.selectors import ancestry
from lineage.services.versions import ensure_origins

VALID_FOR = timedelta(hours=1)

Outcome = GateDecision.Outcome
Reason = GateDecision.Reason

_GAPS = frozenset({Reason.UNKNOWN_DATASET, Reason.MEMBERS_UNKNOWN, Reason.LINEAGE_TRUNCATED})
_DENIALS = frozenset({Reason.UNKNOWN_PURPOSE, Reason.EVERYBODY_EXCLUDED})


@transaction.atomic
def decide(
    *,
    datasets: Sequence[Dataset],
    purpose: Purpose | None,
    model: gate_tokens.Name | None = None,
    client: ApiClient | None = None,
    at: datetime | None = None,
) -> GateDecision:
    """Answer, and keep the answer for an hour. ``purpose`` is None if it is not registered.

    ``model`` is what is to be trained; it need not exist yet.

    The people of every data set upstream count: those who are in the data sets asked about, and
    whoever was ever in the ones above them, since what was derived may hold them still. Somebody
    who is not in the rows loses nothing by being excluded.
    """
    now = at or timezone.now()
    asked = sorted({dataset.pk for dataset in datasets})
    ensure_origins(asked)
    reached = ancestry.ancestors(asked, at=now)
    people = membership.people_in(asked, reached.dataset_ids - set(asked))
    excluded = excluded_from(people, purpose, now) if purpose else people
    reasons = _reasons(purpose, reached, people, excluded)
    decision = GateDecision.objects.create(
        client=client,
        purpose=purpose,
        outcome=_outcome(reasons),
        reasons=[each.value for each in reasons],
        excluded_count=len(excluded),
        excluded=excluded.serialize(),
        model_namespace=model[0] if model else "",
        model_name=model[1] if model else "",
        decided_at=now,
        expires_at=now + VALID_FOR,
    )
    _keep_inputs(decision, asked)
    _into_ledger(decision)
    return decision


def _keep_inputs(decision: GateDecision, asked: Collection[int]) -> None:
    """Keep which versions the answer is about: the ones of its instant."""
    versions = ancestry.current_versions(asked, at=decision.decided_at)
    current = DatasetVersion.objects.filter(pk__in=versions).order_by("dataset_id")
    GateInput.objects.bulk_create(
        GateInput(decision=decision, dataset_id=version.dataset_id, version=version)
        for version in current
    )


def token_of(decision: GateDecision) -> str:
    """Return the answer signed; whoever has the published keys can check it without asking us."""
    claims = gate_tokens.claims_of(known.token_of(decision), issuer=settings.PUBLIC_URL)
    return signing.sign(claims, typ=gate_tokens.TYP)


def _reasons(
    purpose: Purpose | None, reached: ancestry.Ancestry, people: BitMap, excluded: BitMap
) -> list[GateDecision.Reason]:
    """Return every reason, in the order in which the model lists them."""
    found: set[GateDecision.Reason] = set(
        known.sources_without_people(reached.dataset_ids).values()
    )
    if purpose is None:
        found.add(Reason.UNKNOWN_PURPOSE)
    elif excluded:
        every = len(excluded) == len(people)
        found.add(Reason.EVERYBODY_EXCLUDED if every else Reason.SOME_EXCLUDED)
    if reached.truncated:
        found.add(Reason.LINEAGE_TRUNCATED)
    if membership.reappeared_in(reached.dataset_ids).exists():
        found.add(Reason.ERASED_DATA_PRESENT)
    return [each for each in Reason if each in found]


def _outcome(reasons: Collection[GateDecision.Reason]) -> GateDecision.Outcome:
    """Return the strictest answer that a reason asks for."""
    if _DENIALS & set(reasons):
        return Outcome.DENY
    if _GAPS & set(reasons):
        return Outcome.GAP
    return Outcome.PERMIT_WITH_EXCLUSIONS if reasons else Outcome.PERMIT


def _into_ledger(decision: GateDecision) -> None:
    inputs = decision.inputs.select_related("dataset", "version").order_by("dataset_id")
    ledger.append(
        kind="gate.decided",
        facts={
            "decision": str(decision.uuid),
            "purpose": decision.purpose.key if decision.purpose else None,
            "outcome": str(decision.outcome),
            "reasons": [str(each) for each in decision.reasons],
            "excluded": decision.excluded_count,
            "model": list(known.token_of(decision).model or ()),
            "inputs": [
                {"dataset": str(each.dataset.uuid), "version": str(each.version.uuid)}
                for each in inputs
            ],
        },
    )
