"""Dry runs: look what an erasure would find, data set by data set, and touch nothing.

Each look is a row that a worker claims, as it claims a step. What comes of it is a number of rows
and the parts that hold them, or the code of what stood in the way. Identifiers are read from a
storage and asked of that same storage; they go nowhere else.
"""

from functools import partial

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from consent.connectors import connector_for
from consent.connectors.base import ConnectorError, Located, Place
from consent.models import DryRun, ErasurePlan, RightsRequest
from consent.selectors import planned
from consent.selectors.persons import rows_of_each
from consent.services import leases
from consent.services.approving import waiting_plan
from consent.services.claims import WORKERS_LOST
from consent.services.erasing import (
    IdentifierMissingError,
    Reading,
    people_of,
    read,
)
from consent.services.places import place_of
from consent.services.requests import record
from governance.models import Dataset
from lineage.selectors.transparency import Certainty

MOST_ATTEMPTS = 3
_WORKERS_LOST = "whoever looked died each time: see the workers' log and memory"


@transaction.atomic
def ask(*, request: RightsRequest, by: str) -> ErasurePlan:
    """Ask for a dry run of the plan that waits for approval; one that goes on is enough.

    Raises `PlanNotWaitingError`.
    """
    plan = waiting_plan(request.pk)
    if plan.dry_runs.filter(finished_at=None).exists():
        return plan
    now = timezone.now()
    steps = plan.request.steps.order_by("position").values_list("dataset_id", flat=True)
    DryRun.objects.bulk_create(DryRun(plan=plan, dataset_id=pk, asked_at=now) for pk in steps)
    record(plan.request, "erasure.dry_run", {"plan": str(plan.uuid), "by": by})
    return plan


def look(*, dry_run_id: int) -> bool:
    """Look at one data set, if nobody else does; say whether this call brought the answer."""
    token = _claim(dry_run_id)
    if token is None:
        return False
    due = DryRun.objects.select_related("dataset__storage", "plan__request").get(pk=dry_run_id)
    if due.attempt > MOST_ATTEMPTS:
        return _finish(due, token, code=WORKERS_LOST, reason=_WORKERS_LOST)
    try:
        with leases.kept_alive(partial(_renew, due.pk, token)):
            found = _located(due)
    except ConnectorError as error:
        return _finish(due, token, code=error.code, reason=error.message)
    return _finish(due, token, found=found)


def _located(due: DryRun) -> Located:
    dataset = due.dataset
    place = place_of(dataset, unknown=_is_unknown(due.plan, dataset))
    values = reading_of(dataset, place, due.plan.request.subject_id).values
    return connector_for(place.kind).locate(place, values) if values else Located(0, ())


def reading_of(dataset: Dataset, place: Place, subject_id: int) -> Reading:
    """Read how one person is spelled in a data set, by all of their rows, and count those there.

    The count stands under the given key. Raises `IdentifierMissingError` and what connectors do.
    """
    scheme = dataset.subject_scheme
    wanted, nameless = people_of(rows_of_each([subject_id]), scheme)
    if nameless and place.subject_column:
        raise IdentifierMissingError(
            f"the person is not known by {scheme}: nothing can be looked for"
        )
    return read(connector_for(place.kind), place, scheme, wanted)


def _is_unknown(plan: ErasurePlan, dataset: Dataset) -> bool:
    told = {each["dataset"]: each["certainty"] for each in plan.content["steps"]}
    return bool(told.get(str(dataset.uuid)) == Certainty.UNKNOWN)


def _claim(dry_run_id: int) -> int | None:
    if not planned.looks_to_do().filter(pk=dry_run_id).exists():
        return None
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_dryrun
               SET token = token + 1, attempt = attempt + 1,
                   lease_until = clock_timestamp() + make_interval(secs => %s)
             WHERE id = %s AND finished_at IS NULL
               AND (lease_until IS NULL OR lease_until < clock_timestamp())
            RETURNING token
            """,
            [settings.COLOPHON_LEASE_SECONDS, dry_run_id],
        )
        row = cursor.fetchone()
    return int(row[0]) if row else None


def _renew(dry_run_id: int, token: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE consent_dryrun SET lease_until = clock_timestamp() + make_interval(secs => %s)"
            " WHERE id = %s AND token = %s AND finished_at IS NULL",
            [settings.COLOPHON_LEASE_SECONDS, dry_run_id, token],
        )


def _finish(
    due: DryRun, token: int, *, found: Located | None = None, code: str = "", reason: str = ""
) -> bool:
    """Write the answer down, if the row is still ours."""
    ours = DryRun.objects.filter(pk=due.pk, token=token, finished_at=None)
    return bool(
        ours.update(
            finished_at=timezone.now(), lease_until=None, code=code, reason=reason,
            rows=None if found is None else found.rows,
            parts=[] if found is None else list(found.parts),
        )
    )  # fmt: skip
