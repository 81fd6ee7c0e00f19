"""What events say of runs, jobs and data sets."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from governance.crypto import UnreadableError
from governance.errors import NotFoundError
from governance.keys import organisation_key
from lineage.facets.kept import PLACE, is_deleted
from lineage.models import DatasetFacet, Job, JobFacet, Run, RunFacet, UseFacet
from lineage.selectors.identities import called
from lineage.selectors.transparency import dataset_named


@dataclass(frozen=True, slots=True)
class Shown:
    """A facet; ``withheld`` where it may hold something personal and the reader may not see it."""

    name: str
    event_at: datetime
    withheld: bool
    value: Any
    dataset: str = ""
    written: bool | None = None


def of_dataset(namespace: str, name: str, *, opened: bool) -> list[Shown]:
    """Return a data set's facets, of all its names. Raises `NotFoundError`."""
    names = called([dataset_named(namespace, name).pk])
    return _shown(DatasetFacet.objects.filter(dataset__in=names), opened)


def of_job(namespace: str, name: str, *, opened: bool) -> list[Shown]:
    """Return a job's facets. Raises `NotFoundError`."""
    if not Job.objects.filter(namespace=namespace, name=name).exists():
        raise NotFoundError("no such job is known: check namespace and name")
    found = JobFacet.objects.filter(job__namespace=namespace, job__name=name)
    return _shown(found, opened)


def of_run(uuid: UUID, *, opened: bool) -> list[Shown]:
    """Return a run's facets, those of the data sets that it used included."""
    run = Run.objects.filter(uuid=uuid).first()
    if run is None:
        raise NotFoundError("no such run is known")
    own = _shown(RunFacet.objects.filter(run=run), opened)
    uses = UseFacet.objects.filter(run=run).select_related("dataset")
    return own + _shown(uses, opened)


def _shown(facets: "QuerySet[Any]", opened: bool) -> list[Shown]:
    answer = []
    for each in facets.order_by("name", "pk"):
        value = each.value
        if each.sealed is not None:
            value = _opened(each.sealed) if opened else None
        if is_deleted(value):
            continue
        used = getattr(each, "dataset", None) if isinstance(each, UseFacet) else None
        answer.append(
            Shown(
                each.name, each.event_at, value is None, value,
                used.name if used else "", each.written if used else None,
            )
        )  # fmt: skip
    return answer


def _opened(sealed: bytes | memoryview) -> Any:
    try:
        return json.loads(organisation_key().open(bytes(sealed), PLACE))
    except UnreadableError:
        return None
