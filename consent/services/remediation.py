"""Follow an erasure into the models: affected versions, and trainings that make them good."""

from collections.abc import Collection
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from consent.models import Remediation, RightsRequest
from consent.selectors import requests, uses
from consent.selectors.persons import rows_of
from consent.selectors.remedies import Remedied
from consent.services import notifying, remedies
from consent.services.telling import Told, record, record_many
from governance.models import WebhookKind
from governance.services import webhooks
from lineage.models import ModelVersion
from lineage.openlineage import RunState
from lineage.selectors import transparency

# What carries an earlier instant may be committed after we looked; so we look a while longer.
COMMIT_SLACK = timedelta(minutes=2)


def open_for(*, request: RightsRequest, affected: Collection[uses.Use]) -> int:
    """Open a remediation for each affected model version that has none; return how many.

    A fine-tune, a distillate or a merge of an affected model descends from the same data, and so
    has one of its own. Recipients of the models are told.
    """
    known = set(request.remediations.values_list("model_version_id", flat=True))
    new = [use for use in affected if use.model_version.pk not in known]
    Remediation.objects.bulk_create(
        Remediation(request=request, model_version=use.model_version, certainty=use.certainty)
        for use in new
    )
    told = [{"model_version": str(use.model_version.uuid)} for use in new]
    if told:
        webhooks.announce_each(
            kind=WebhookKind.MODEL_AFFECTED,
            told=[(facts["model_version"], facts) for facts in told],
        )
        record_many(Told(request, "remediation.opened", facts) for facts in told)
    notifying.open_for(request)
    return len(new)


@transaction.atomic
def observe(*, request_id: int) -> int:
    """Look at the models again: open what is newly affected, close what was made good.

    Returns how many were opened or closed. Nothing is claimed here: a remediation closes on a
    later, completed training of the same model whose provenance is known in full and from which
    no way leads to the person's data, or while a measure holds.
    """
    looked_at = timezone.now() - COMMIT_SLACK
    request = RightsRequest.objects.select_for_update().select_related("subject").get(pk=request_id)
    if request.refused_at is not None:
        return 0
    changed = open_for(request=request, affected=uses.models_of(request.subject))
    standing = requests.standing_of(request)
    for waiting in standing.remediations:
        if waiting.closed_at is None:
            changed += _close_if_retrained(request, waiting)
    changed += remedies.follow(request)
    request.observed_at = looked_at
    request.save(update_fields=["observed_at"])
    _tell_completion(request, requests.standing_of(request) if changed else standing)
    return changed


def _close_if_retrained(request: RightsRequest, waiting: Remedied) -> int:
    for later in _later_versions(waiting.model_version):
        if _is_clean(request, later):
            now = timezone.now()
            Remediation.objects.filter(pk=waiting.pk, closed_at=None).update(
                closed_at=now, outcome=Remediation.Outcome.RETRAINED, closed_by=later
            )
            record(
                request, "remediation.closed",
                {"model_version": str(waiting.model_version.uuid), "closed_by": str(later.uuid)},
            )  # fmt: skip
            return 1
    return 0


def _later_versions(affected: ModelVersion) -> list[ModelVersion]:
    later = ModelVersion.objects.filter(
        model=affected.model,
        stale_at=None,
        provenance__truncated=False,
        version__visible_from__gte=affected.version.complete_at,
        version__run__state=RunState.COMPLETE,
    )
    described = later.select_related("version", "provenance").exclude(pk=affected.pk)
    return list(described.order_by("version__complete_at", "pk"))


def _is_clean(request: RightsRequest, made: ModelVersion) -> bool:
    """Say whether a model version is known not to hold the person: a gap is not an answer."""
    unknown = any(
        certainty is transparency.Certainty.UNKNOWN
        for _, certainty in transparency.datasets_in(made)
    )
    return not unknown and uses.use_of(request.subject, made) is None


def _tell_completion(request: RightsRequest, standing: requests.Standing) -> None:
    """Tell, once, that nothing is outstanding; or that something is again."""
    if standing.state is not requests.RequestState.COMPLETED:
        _tell_reopening(request)
        return
    untold = RightsRequest.objects.filter(pk=request.pk, completion_recorded_at=None)
    if untold.update(completion_recorded_at=timezone.now()):
        facts = {"request": str(request.uuid)}
        webhooks.announce(kind=WebhookKind.ERASURE_COMPLETED, facts=facts)
        record(request, "request.completed", {})


def _tell_reopening(request: RightsRequest) -> None:
    """Tell, once, that something is outstanding again.

    Where the person has asked anew meanwhile, that request is about the same model versions.
    """
    anew = requests.under_way().filter(subject__in=rows_of(request.subject), kind=request.kind)
    told = RightsRequest.objects.filter(pk=request.pk, completion_recorded_at__isnull=False)
    if told.exists() and not anew.exists():
        told.update(completion_recorded_at=None)
        record(request, "request.reopened", {})
