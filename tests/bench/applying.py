"""Rows about the one worker that applies accepted events to the graph."""

from typing import Any

from django.db import transaction

from governance.models import ApiKey, Dataset
from governance.services.clients import issue_key
from lineage.models import DatasetFacet, DatasetVersion, InboxEvent, Job, Run, RunInput
from lineage.openlineage import parse, parse_time
from lineage.services.apply import apply_ready
from lineage.services.inbox import accept
from tests.bench.lineage import event, rate
from tests.bench.row import Row
from tests.factories.events import at


def apply(*, scale: str, environment: dict[str, str]) -> Row:
    """Apply accepted events to the graph in one process."""
    count = 10_000 if scale == "small" else 100_000
    InboxEvent.objects.all().delete()
    key = issue_key(client_name="bench", scopes=["lineage:write"]).key
    fill(key, count, start=0)
    ours = rate(count, apply_everything)
    assert Run.objects.count() == count
    few = count // 50
    theirs = rate(few, lambda: apply_by_orm([event(2 * 10**6 + n) for n in range(few)]))
    return Row("apply", ours, "events/s", "update_or_create by the ORM", theirs, scale, "30")


def fill(key: ApiKey, count: int, start: int) -> None:
    for first in range(start, start + count, 500):
        accept(key=key, events=[event(n) for n in range(first, min(first + 500, start + count))])


def apply_everything() -> None:
    while apply_ready():
        pass


def apply_by_orm(events: list[dict[str, Any]]) -> None:
    """Do the same, row by row, as one would write it first."""
    for raw in events:
        parsed = parse(raw, now=parse_time("2100-01-01T00:00:00Z"))
        month = parsed.at.date().replace(day=1)
        then = dict.fromkeys(("announced_at", "visible_from", "complete_at"), parsed.at)
        with transaction.atomic():
            job, _ = Job.objects.get_or_create(namespace=parsed.job[0], name=parsed.job[1])
            run, _ = Run.objects.update_or_create(
                job=job, run_id=parsed.run_id, month=month,
                defaults={"state": parsed.state, "state_at": parsed.at, "started_at": parsed.at,
                          "last_heard_at": parsed.at},
            )  # fmt: skip
            for ref in parsed.datasets():
                dataset, _ = Dataset.objects.get_or_create(namespace=ref.namespace, name=ref.name)
                for name, value in ref.facets.items():
                    DatasetFacet.objects.update_or_create(
                        dataset=dataset, name=name, defaults={"value": value, "event_at": parsed.at}
                    )
                known = {"identity": dataset.pk}
                DatasetVersion.objects.get_or_create(
                    dataset=dataset, kind="origin",
                    defaults=known | dict.fromkeys(then, at(0)),
                )  # fmt: skip
                if ref in parsed.inputs:
                    RunInput.objects.update_or_create(
                        run=run, month=month, dataset=dataset, declared="",
                        defaults={"announced_at": parsed.at},
                    )  # fmt: skip
                else:
                    DatasetVersion.objects.update_or_create(
                        dataset=dataset, run=run, kind="written", defaults=known | then
                    )
