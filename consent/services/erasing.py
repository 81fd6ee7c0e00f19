"""Carry out the erasure steps of a data set together: claim, read, erase, read back, finish.

A thousand people who leave one data set cost it one reading and one rewriting. Each part is safe
to lose: a worker that dies leaves leases that run out; the next one erases what is left and finds
the rows that were located first still on record. A worker that wakes after its lease finds its
tokens outdated and changes nothing.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.utils import timezone
from pyroaring import BitMap

from consent.connectors import connector_for
from consent.connectors.base import Connector, ConnectorError, Erased, Place
from consent.models import ErasureBatch, ErasureStep
from consent.selectors.identifier_keys import moved_up, usable_digests
from consent.selectors.persons import rows_of_each
from consent.selectors.subjects import looked_for
from consent.services import reappearances, stays
from consent.services.claims import Batch, claim, kept_alive, put_off, remember_located
from consent.services.leases import LostClaimError
from consent.services.places import place_of
from consent.services.requests import Told, record_many
from governance.models import Dataset, Storage
from lineage.selectors.transparency import Certainty
from lineage.services.versions import record_erasure

logger = logging.getLogger(__name__)

MOST_TOGETHER = 5_000


class RowsRemainError(ConnectorError):
    """Reading back found rows that should be gone, perhaps because somebody writes them anew."""

    code = "rows_remain"
    retryable = True


class IdentifierMissingError(ConnectorError):
    """The person is not known by the kind of identifier that the data set is written in.

    Nothing can be looked for then, so nothing may be called "not found".
    """

    code = "identifier_missing"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a data set holds of the people of a batch: their spellings, and rows a step."""

    values: frozenset[str]
    rows: Mapping[int, int] = field(repr=False)


@dataclass(frozen=True, slots=True, repr=False)
class Wanted:
    """Who is looked for: which steps by which digest, all made by one version of the key.

    That stays right while the rows they came from are moved up: nothing is compared with rows.
    """

    version: int
    steps: Mapping[bytes, set[int]]

    def among(self, scheme: str, values: Sequence[str]) -> Iterator[tuple[str, Collection[int]]]:
        """Yield those values that somebody is looked for by, each with the steps that do."""
        digests = usable_digests(self.version, scheme, values)
        for value, digest in zip(values, digests, strict=True):
            if digest is not None and digest in self.steps:
                yield value, self.steps[digest]


def carry_out(*, dataset_id: int) -> int:
    """Do the steps of a data set that are free; return how many now have their outcome.

    What stands in the way is written on the steps by its code, and they stay open.
    """
    dataset = Dataset.objects.select_related("storage").get(pk=dataset_id)
    batch = claim(dataset_id=dataset_id, limit=_most_together(dataset))
    if batch is None:
        return 0
    try:
        with kept_alive(batch):
            return _erase(batch, dataset)
    except ConnectorError as error:
        _keep_partial(batch, error.partial)
        put_off(batch, error.code, error.message, retryable=error.retryable)
    except LostClaimError:
        logger.warning("a batch was taken over while its leases had run out")
    return 0


def _most_together(dataset: Dataset) -> int:
    """Return how many steps may share a batch: an owner is asked for one person at a time.

    There the step's name is what makes a repetition recognisable, so it cannot be a batch's.
    """
    return 1 if dataset.storage and dataset.storage.kind == Storage.Kind.HTTP else MOST_TOGETHER


def _erase(batch: Batch, dataset: Dataset) -> int:
    steps = batch.steps()
    place = place_of(
        dataset,
        # The name of one step makes a repetition recognisable; a batch has none.
        step=str(steps[0].uuid) if len(steps) == 1 else "",
        unknown=all(each.certainty == Certainty.UNKNOWN for each in steps),
    )
    people = rows_of_each(each.request.subject_id for each in steps)
    rows = {each.pk: people[each.request.subject_id] for each in steps}
    wanted, unknown = people_of(rows, dataset.subject_scheme)
    if unknown and place.kind != Storage.Kind.MANUAL:
        error = IdentifierMissingError(
            f"the person is not known by {dataset.subject_scheme}: add it, or settle it by hand"
        )
        put_off(batch.only(unknown), error.code, error.message, retryable=False)
        batch = batch.only(batch.tokens.keys() - unknown)
        if not batch.tokens:
            return 0
    connector = connector_for(place.kind)
    reappearances.look_for(batch)
    found = read(connector, place, dataset.subject_scheme, wanted)
    remember_located(batch, found.rows)
    erased = connector.erase(place, found.values)
    remaining: Mapping[int, int] = {}
    if connector.verify(place, found.values):
        remaining = read(connector, place, dataset.subject_scheme, wanted).rows
        reason = "rows are still there after erasing: it is tried again"
        put_off(batch.only(remaining), RowsRemainError.code, reason, retryable=True)
    return _finish(batch.only(batch.tokens.keys() - remaining.keys()), erased, rows)


def people_of(rows: Mapping[int, BitMap], scheme: str) -> tuple[Wanted, set[int]]:
    """Return whose digest is looked for by which steps, and the steps that have none.

    ``rows`` are the person's, by step.
    """
    of: defaultdict[int, set[int]] = defaultdict(set)
    for step, person in rows.items():
        for row in person:
            of[row].add(step)
    known = looked_for(of, scheme)
    newest = max((version for _, version, _ in known), default=1)
    wanted: defaultdict[bytes, set[int]] = defaultdict(set)
    for kept, version, subject in known:
        [digest] = moved_up([kept], version, newest)
        wanted[digest] |= of[subject]
    return Wanted(newest, dict(wanted)), set(rows).difference(*wanted.values())


def read(connector: Connector, place: Place, scheme: str, wanted: Wanted) -> Reading:
    """Find the people in the data set, and count their rows.

    The subject column is read and each value digested, because only the digest is spelled one
    way; what is found stays in memory.
    """
    values: set[str] = set()
    rows: Counter[int] = Counter()
    for batch in connector.members(place):
        times = Counter(batch)
        for value, steps in wanted.among(scheme, list(times)):
            values.add(value)
            rows.update(dict.fromkeys(steps, times[value]))
    return Reading(frozenset(values), rows)


@transaction.atomic
def _finish(batch: Batch, erased: Erased, rows: Mapping[int, BitMap]) -> int:
    """Write outcomes, new version, memberships and ledger together, for what is still ours.

    ``rows`` are those that were looked for, whoever has been merged or parted since.
    """
    if not batch.tokens:
        return 0
    now = timezone.now()
    made = ErasureBatch.objects.create(dataset_id=batch.dataset_id, evidence=_evidence(erased))
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_erasurestep s
               SET state = 'done', lease_until = NULL, finished_at = %s, batch_id = %s,
                   outcome = CASE WHEN s.located_rows > 0 THEN 'erased' ELSE 'not_found' END
              FROM unnest(%s::bigint[], %s::bigint[]) AS c (id, token)
             WHERE s.id = c.id AND s.token = c.token AND s.state = 'running'
            """,
            [now, made.pk, list(batch.tokens), list(batch.tokens.values())],
        )
        if cursor.rowcount != len(batch.tokens):
            raise LostClaimError
    version = record_erasure(dataset_id=batch.dataset_id, at=now)
    done = ErasureStep.objects.filter(pk__in=batch.tokens)
    done.update(version=version)
    joined = [pk for pk in batch.tokens if len(rows[pk]) > 1]
    for step in done.filter(pk__in=joined).select_related("request"):
        step.others = list(rows[step.pk] - BitMap([step.request.subject_id]))
        step.save(update_fields=["others"])
    leaving = BitMap.union(*(rows[pk] for pk in batch.tokens))
    stays.end(dataset_id=batch.dataset_id, people=leaving, version=version)
    reappearances.end(batch)
    _into_ledger(batch, made)
    return len(batch.tokens)


def _evidence(erased: Erased) -> dict[str, Any]:
    return {"rows": erased.rows, "parts": list(erased.parts), "storage": dict(erased.evidence)}


def _into_ledger(batch: Batch, made: ErasureBatch) -> None:
    """Tell of each step by itself, with the digest of what proves the batch."""
    proof = made.digest()
    steps = ErasureStep.objects.filter(pk__in=batch.tokens).select_related("request", "dataset")
    record_many(
        Told(
            step.request, "erasure.step",
            {
                "step": str(step.uuid), "dataset": str(step.dataset.uuid),
                "outcome": step.outcome, "rows": step.located_rows or 0,
                "batch": str(made.uuid), "evidence_sha256": proof,
            },
        )
        for step in steps.order_by("pk")
    )  # fmt: skip


def _keep_partial(batch: Batch, partial: Erased | None) -> None:
    """Keep the evidence of what was erased before something went wrong, as a batch of its own."""
    if partial is not None and partial.parts:
        ErasureBatch.objects.create(
            dataset_id=batch.dataset_id, evidence={**_evidence(partial), "broken_off": True}
        )
