"""The gate: may these data sets be used for this purpose."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone
from pyroaring import BitMap

from consent import gate_tokens
from consent.models import GateDecision, GateInput
from consent.selectors import gate as known
from consent.selectors import membership
from consent.selectors.decisions import excluded_from
from consent.selectors.filtering import Filter
from consent.selectors.judging import Judged, judge
from consent.selectors.persons import count
from governance.mechanisms import mechanism_of
from governance.models import ApiClient, Dataset, Purpose
from governance.services import ledger, signing
from governance.strictjson import JSON
from lineage.models import DatasetVersion
from lineage.selectors import ancestry
from lineage.services.versions import ensure_origins

VALID_FOR = timedelta(hours=1)

Outcome = GateDecision.Outcome
Reason = GateDecision.Reason

_GAPS = frozenset({Reason.UNKNOWN_DATASET, Reason.MEMBERS_UNKNOWN, Reason.LINEAGE_TRUNCATED})
_DENIALS = frozenset(
    {
        Reason.UNKNOWN_PURPOSE, Reason.EVERYBODY_EXCLUDED, Reason.NEEDS_DIFFERENTIAL_PRIVACY,
        Reason.BUDGET_EXCEEDED, Reason.NEEDS_FEDERATION, Reason.NEEDS_SECURE_AGGREGATION,
        Reason.COHORT_TOO_SMALL, Reason.KEPT_TOO_LONG,
    }
)  # fmt: skip


@transaction.atomic
def decide(
    *,
    datasets: Sequence[Dataset],
    purpose: Purpose | None,
    model: gate_tokens.Name | None = None,
    mechanism: Mapping[str, JSON] | None = None,
    client: ApiClient | None = None,
    at: datetime | None = None,
) -> GateDecision:
    """Answer, and keep the answer for an hour. ``purpose`` is None if it is not registered.

    ``model`` is what is to be trained; it need not exist yet. ``mechanism`` are the facts of how
    people are protected (`governance.mechanisms`), which policies may ask for. Raises
    `MechanismUnusableError`.

    The people of every data set upstream count: those who are in the data sets asked about, and
    whoever was ever in the ones above, since what was derived may hold them still. Somebody who is
    not in the rows loses nothing by being excluded.
    """
    now = at or timezone.now()
    asked = sorted({dataset.pk for dataset in datasets})
    found = _weighed(asked, purpose, mechanism, now)
    decision = GateDecision.objects.create(
        client=client, purpose=purpose, decided_at=now, expires_at=now + VALID_FOR,
        outcome=_outcome(found.reasons), reasons=[each.value for each in found.reasons],
        excluded_count=count(found.excluded), excluded=found.excluded.serialize(),
        **_conditions(found.judged, mechanism), **_named(model),
    )  # fmt: skip
    _keep_inputs(decision, asked)
    _into_ledger(decision)
    return decision


def may(
    *,
    purpose: Purpose | None,
    scheme: str,
    value: str,
    datasets: Sequence[Dataset] = (),
    mechanism: Mapping[str, JSON] | None = None,
    at: datetime | None = None,
) -> bool:
    """Say whether one person's data may be used for a purpose now; nothing of it is kept.

    With data sets the answer is the one that `decide` and then the filter would give. Without
    them, what the purpose asks for by itself counts. Raises `IdentifierMalformedError` and
    `MechanismUnusableError`.
    """
    now = at or timezone.now()
    if datasets:
        found = _weighed({dataset.pk for dataset in datasets}, purpose, mechanism, now)
        is_open, judged = _outcome(found.reasons) in known.OPEN, found.judged
    else:
        judged = _judged(purpose, (), mechanism, now)
        is_open = not judged.unmet
    asked = Filter(purpose=purpose if is_open else None, scheme=scheme, explicit=judged.explicit)
    asked.take([value])
    return bool(asked.answers(now)[0])


@dataclass(frozen=True, slots=True)
class _Weighed:
    """What a use of data sets comes to, and of whom it may not be."""

    excluded: BitMap
    judged: Judged
    reasons: list[GateDecision.Reason]


def _weighed(
    asked: Collection[int],
    purpose: Purpose | None,
    mechanism: Mapping[str, JSON] | None,
    now: datetime,
) -> _Weighed:
    ensure_origins(asked)
    reached = ancestry.ancestors(asked, at=now)
    people = membership.people_in(asked, reached.dataset_ids - set(asked))
    judged = _judged(purpose, reached.dataset_ids, mechanism, now)
    excluded = _excluded(people, purpose, judged, now)
    return _Weighed(excluded, judged, _reasons(purpose, reached, people, excluded, judged))


def _excluded(people: BitMap, purpose: Purpose | None, judged: Judged, at: datetime) -> BitMap:
    if purpose is None:
        return people
    return excluded_from(people, purpose, at, explicit=judged.explicit)


def _conditions(judged: Judged, mechanism: Mapping[str, JSON] | None) -> dict[str, Any]:
    return {
        "explicit": judged.explicit,
        "policies": list(judged.policies),
        "mechanism": dict(mechanism or {}),
    }


def _named(model: gate_tokens.Name | None) -> dict[str, str]:
    namespace, name = model or ("", "")
    return {"model_namespace": namespace, "model_name": name}


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


def _judged(
    purpose: Purpose | None,
    dataset_ids: Collection[int],
    facts: Mapping[str, JSON] | None,
    at: datetime,
) -> Judged:
    mechanism = mechanism_of(facts)
    if purpose is None:
        return Judged()
    return judge(purpose=purpose, dataset_ids=dataset_ids, mechanism=mechanism, at=at)


def _reasons(
    purpose: Purpose | None,
    reached: ancestry.Ancestry,
    people: BitMap,
    excluded: BitMap,
    judged: Judged,
) -> list[GateDecision.Reason]:
    """Return every reason, in the order in which the model lists them."""
    found: set[GateDecision.Reason] = set(
        known.sources_without_people(reached.dataset_ids).values()
    )
    found |= set(judged.unmet)
    if judged.cohort_is_too_small(count(people - excluded)):
        found.add(Reason.COHORT_TOO_SMALL)
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
            "policies": list(decision.policies),
            "mechanism": decision.mechanism,
            "model": list(known.token_of(decision).model or ()),
            "inputs": [
                {"dataset": str(each.dataset.uuid), "version": str(each.version.uuid)}
                for each in inputs
            ],
        },
    )
