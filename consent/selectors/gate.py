"""The gate's questions: where the people upstream are not known, and who of a list may be used."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from uuid import UUID

import numpy as np
from django.db.models import Exists, OuterRef
from django.utils import timezone
from numpy.typing import NDArray

from consent import gate_tokens
from consent.identifiers import IdentifierMalformedError
from consent.listed import Listed
from consent.models import GateDecision, Manifest
from consent.selectors.filtering import Filter
from governance.errors import ColophonError, NotFoundError
from governance.models import ApiClient, Dataset
from lineage.models import DatasetVersion, Run, RunInput
from lineage.selectors import transparency
from lineage.selectors.identities import identities

OPEN = frozenset({GateDecision.Outcome.PERMIT, GateDecision.Outcome.PERMIT_WITH_EXCLUSIONS})


class GateDecisionExpiredError(ColophonError):
    """The answer was for an hour; ask again."""

    code = "gate_decision_expired"
    status = 410


def decision_of(*, client: ApiClient | None, uuid: UUID) -> GateDecision:
    """Return a client's own decision, or raise `NotFoundError`."""
    found = GateDecision.objects.select_related("purpose").prefetch_related(
        "inputs__dataset", "inputs__version"
    )
    try:
        return found.get(client=client, uuid=uuid)
    except GateDecision.DoesNotExist:
        raise NotFoundError("no such decision of yours is known") from None


def token_of(decision: GateDecision) -> gate_tokens.Token:
    """Return what a decision says, as its token has it."""
    named = decision.model_namespace, decision.model_name
    return gate_tokens.Token(
        decision=decision.uuid,
        outcome=str(decision.outcome),
        purpose=decision.purpose.key if decision.purpose else None,
        model=named if all(named) else None,
        inputs=gate_tokens.inputs(
            (each.dataset.uuid, each.version.uuid) for each in decision.inputs.all()
        ),
        issued_at=decision.decided_at,
        expires_at=decision.expires_at,
        policies=tuple(decision.policies),
        mechanism=decision.mechanism,
    )


def mismatches(
    decision: GateDecision, *, run: Run, model: gate_tokens.Name | None, purposes: Collection[str]
) -> list[gate_tokens.Mismatch]:
    """Return why a decision does not speak for what a run did that names it; nothing if it does.

    A run cannot lean on an answer to another question: it has to be open, in force when the run
    began, for its purpose and its model, and about every data set that it read. A run that names
    no purpose means the decision's, and one that has made no model yet the decision's. Which
    version it read is of no matter here, since rows are left out by what people say when they are
    filtered.
    """
    token = token_of(decision)
    known = {each.dataset_id: each for each in decision.inputs.all()}
    read = set(RunInput.objects.filter(run_id=run.pk).values_list("dataset_id", flat=True))
    one = identities(read | known.keys())
    asked = {one[pk]: each for pk, each in known.items()}
    if not {one[pk] for pk in read} <= asked.keys():
        return [gate_tokens.Mismatch.OTHER_DATASET]
    inputs = [asked[one[pk]] for pk in read]
    use = gate_tokens.Use(
        purposes=purposes or [token.purpose or ""],
        model=model or token.model,
        read={each.dataset.uuid: [each.version.uuid] for each in inputs},
        begun_at=run.started_at,
    )
    return gate_tokens.mismatches(token, use)


def permitted(
    *, decision: GateDecision, scheme: str, values: Sequence[str], at: datetime | None = None
) -> list[bool]:
    """Answer for each identifier, in order, whether the person's rows may be used now.

    As `filtered` does it.
    """
    answers = filtered(decision=decision, scheme=scheme, lists=[Listed(values)], at=at)
    return [bool(each) for each in answers]


def filtered(
    *, decision: GateDecision, scheme: str, lists: Iterable[Listed], at: datetime | None = None
) -> "NDArray[np.bool_]":
    """Answer for each row of a list, in order, whether it may be used now.

    Now is when all of it was read. What counts are the decisions in force then, not when the gate
    was asked; nothing is permitted by a decision that is not open. Nobody has heard of an unknown
    person, who is permitted unless a "yes" is needed; a person who was erased never is. Raises
    `GateDecisionExpiredError`, `IdentifierMalformedError` and what reading the list raises.
    """
    _refuse_expired(decision, at or timezone.now())
    asked = Filter(
        purpose=decision.purpose if decision.outcome in OPEN else None,
        scheme=scheme,
        explicit=decision.explicit,
    )
    for some in lists:
        try:
            asked.take(some.values, some.rows)
        except IdentifierMalformedError:
            raise some.refusal(scheme) from None
    now = at or timezone.now()
    _refuse_expired(decision, now)
    return asked.answers(now)


def sources_without_people(dataset_ids: Collection[int]) -> "dict[int, GateDecision.Reason]":
    """Return the data sets of which it is not known whose data they hold, and why.

    A data set that a known run wrote is answered for by what the run read. Of the others, one
    that nobody registered is unknown, and one that says in which column people are named has to
    name them. Either is settled by a manifest.
    """
    told = Manifest.objects.filter(dataset_id=OuterRef("pk"))
    written = DatasetVersion.objects.filter(dataset_id=OuterRef("pk"), kind="written")
    silent = Dataset.objects.filter(~Exists(told), pk__in=list(dataset_ids))
    unnamed = silent.filter(~Exists(written), registered_at__isnull=False).exclude(
        subject_column=""
    )
    unknown = transparency.gaps(silent.values_list("pk", flat=True))
    return {
        **dict.fromkeys(unnamed.values_list("pk", flat=True), GateDecision.Reason.MEMBERS_UNKNOWN),
        **dict.fromkeys(unknown, GateDecision.Reason.UNKNOWN_DATASET),
    }


def _refuse_expired(decision: GateDecision, at: datetime) -> None:
    if decision.expires_at <= at:
        raise GateDecisionExpiredError("the decision has expired")
