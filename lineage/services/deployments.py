"""Note where model versions are put to use, and when that ends."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from governance.errors import ColophonError
from governance.services import ledger
from lineage.models import Deployment, ModelVersion

TOLERANCE = timedelta(minutes=5)  # by which a pipeline's clock may be ahead of ours


class InstantInTheFutureError(ColophonError):
    """What has not happened yet cannot be announced."""

    code: ClassVar[str] = "instant_in_the_future"
    status: ClassVar[int] = 422


class DeploymentTimesError(ColophonError):
    """A deployment cannot have ended before it began."""

    code: ClassVar[str] = "deployment_times_reversed"
    status: ClassVar[int] = 422


@dataclass(frozen=True, slots=True)
class Announced:
    """A deployment, and whether this call made it known."""

    deployment: Deployment
    created: bool


@transaction.atomic
def start(*, made: ModelVersion, environment: str, since: datetime) -> Announced:
    """Note that a model version is in use; telling it again finds the same deployment.

    An instant within a deployment that is known is told of that one, even if it has ended since: a
    repetition never brings a deployment back. One before a known one tells that it began earlier.
    Raises `InstantInTheFutureError`.
    """
    _check_past(since)
    # Whoever announces something of the same version waits, so that two are told apart.
    held = ModelVersion.objects.select_for_update(no_key=True).get(pk=made.pk)
    same = Deployment.objects.filter(model_version=held, environment=environment)
    lasting = Q(until=None) | Q(until__gt=since) | Q(since=since)
    known = same.filter(lasting, since__lte=since).first()
    if known is not None:
        return Announced(known, created=False)
    later = same.filter(since__gt=since).order_by("since").first()
    if later is not None:
        later.since = since
        later.save(update_fields=["since"])
        return Announced(later, created=False)
    begun = Deployment.objects.create(model_version=held, environment=environment, since=since)
    _tell("deployment.started", begun)
    return Announced(begun, created=True)


@transaction.atomic
def end(*, deployment: Deployment, until: datetime) -> Deployment:
    """Note that a deployment is over; the first end that was said stays.

    Raises `InstantInTheFutureError` and `DeploymentTimesError`.
    """
    _check_past(until)
    held = Deployment.objects.select_for_update().get(pk=deployment.pk)
    if until < held.since:
        raise DeploymentTimesError("the deployment began later than that")
    if held.until is None:
        held.until, held.ended_at = until, timezone.now()
        held.save(update_fields=["until", "ended_at"])
        _tell("deployment.ended", held)
    return held


def _check_past(instant: datetime) -> None:
    if instant > timezone.now() + TOLERANCE:
        raise InstantInTheFutureError("the instant has not come yet: tell it when it has")


def _tell(kind: str, deployment: Deployment) -> None:
    ledger.append(
        kind=kind,
        facts={
            "deployment": str(deployment.uuid),
            "model_version": str(deployment.model_version.uuid),
            "environment": deployment.environment,
        },
    )
