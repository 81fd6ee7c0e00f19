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
from consent.services.together import in_time
from governance.models import WebhookKind
from governance.services import webhooks
from lineage.models import ModelVersion
from lineage.openlineage import RunState
from lineage.selectors import transparency

# What carries an earlier instant may be committed after we looked; so we look a while longer.
COMMIT_SLACK = timedelta(minutes=2)


def open_for(request: RightsRequest, affected: Collection[uses.Use]) -> int:
    """Open a remediation for each affected model version that has none; return how many.

    A fine-tune, a distillate or a merge of an affected model descends from the same data, and so
    has one of its own. It is for the caller to have recipients of the models told.
    """
    if not affected:
        return 0
    known = set(request.remediations.values_list("model_version_id", flat=True))
    new = [use for use in affected if use.model_version.pk not in known]
    Remediation.objects.bulk_create(
        Remediation(request=request, model_version=use.model_version, certainty=use.certainty)
        for use in new
    )
    told = [{"model_version": str(use.model_version.uuid)} for use in new]
    webhooks.announce_each(
        kind=WebhookKind.MODEL_AFFECTED, told=[(facts, facts["model_version"]) for facts in told]
    )
    record_many(Told(request, "remediation.opened", facts) for facts in told)
    return len(new)


@transaction.atomic
def observe(*request_ids: int) -> int:
    """Look at the models again: open what is newly affected, close what was made good.

    Returns how many were opened or closed. Nothing is claimed here: a remediation closes on a
    later, completed training of the same model whose provenance is known in full and from which
    no way leads to the person's data, or while a measure holds.
    """
    looked_at = timezone.now() - COMMIT_SLACK
    mine = RightsRequest.objects.filter(pk__in=request_ids, refused_at=None).order_by("pk")
    held = list(mine.select_for_update(of=("self",), skip_locked=True).select_related("subject"))
    traced = uses.traced_of([each.subject for each in held])
    opened = {
        each: open_for(each, of.models) for each, of in in_time(zip(held, traced, strict=True))
    }
    notifying.open_for(*opened)
    standings = requests.standings_of(list(opened))
    changed = [opened[each.request] + _made_good(each) for each in standings]
    RightsRequest.objects.filter(pk__in=[each.pk for each in opened]).update(observed_at=looked_at)
    anew = [each.request for each, times in zip(standings, changed, strict=True) if times]
    same = [each for each, times in zip(standings, changed, strict=True) if not times]
    _tell_completion([*same, *requests.standings_of(anew)])
    return sum(changed)


def _made_good(standing: requests.Standing) -> int:
    """Close what a later training or a measure makes good, or open it again; return how many."""
    if not standing.remediations:
        return 0
    waiting = [each for each in standing.remediations if each.closed_at is None]
    retrained = sum(_close_if_retrained(standing.request, each) for each in waiting)
    return retrained + remedies.follow(standing.request)


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


def _tell_completion(standings: Collection[requests.Standing]) -> None:
    """Tell, once of each, that nothing is outstanding; or that something is again.

    The requests are held, so what was told of them cannot change meanwhile.
    """
    new = []
    for each in standings:
        if each.state is not requests.RequestState.COMPLETED:
            _tell_reopening(each.request)
        elif each.request.completion_recorded_at is None:
            new.append(each.request)
    mine = RightsRequest.objects.filter(pk__in=[each.pk for each in new])
    mine.update(completion_recorded_at=timezone.now())
    told = [({"request": str(each.uuid)}, "") for each in new]
    webhooks.announce_each(kind=WebhookKind.ERASURE_COMPLETED, told=told)
    record_many(Told(each, "request.completed", {}) for each in new)


def _tell_reopening(request: RightsRequest) -> None:
    """Tell, once, that something is outstanding again.

    Where the person has asked anew meanwhile, that request is about the same model versions.
    """
    if request.completion_recorded_at is None:
        return
    anew = requests.under_way().filter(subject__in=rows_of(request.subject), kind=request.kind)
    if not anew.exists():
        told = RightsRequest.objects.filter(pk=request.pk)
        told.update(completion_recorded_at=None)
        record(request, "request.reopened", {})
