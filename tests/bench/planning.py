"""The row about plans: what it costs to say everything that an erasure would touch."""

from uuid import uuid4

import numpy as np

from consent.models import RightsRequest
from consent.services import planning
from consent.services.requests import open_erasure
from governance.models import Dataset
from lineage.selectors import ancestry
from tests.bench.asking import milliseconds, sample
from tests.bench.row import Row
from tests.factories.consent import registered, take

PEOPLE = 60


def erasure_plan(*, scale: str, environment: dict[str, str]) -> Row:
    """Plan erasures of people who are each in one data set, from all over the graph."""
    asked = [asked_for(dataset) for dataset in sample(PEOPLE)[:PEOPLE]]
    ours = [milliseconds(lambda r=each: planning.plan(r.pk)) for each in asked]
    typical = sorted(asked, key=lambda each: each.steps.count())[len(asked) // 2]
    steps = list(typical.steps.values_list("dataset_id", flat=True))
    theirs = milliseconds(lambda: [ancestry.ancestors([pk]) for pk in steps])
    return Row(
        "erasure_plan", float(np.median(ours)), "ms (p50)", "the ancestry of each data set alone",
        theirs, scale, "under 200 ms",
    )  # fmt: skip


def asked_for(dataset: Dataset) -> RightsRequest:
    """Name somebody in a data set who wants to be erased."""
    name = str(uuid4())
    person = registered(("opaque", name))
    take(dataset, [name])
    return open_erasure(subject=person, key=uuid4(), verified=True)
