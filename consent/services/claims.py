"""Claim erasure steps, keep their leases alive, and put them off.

The row is the work. A batch is every step of one data set that can be done now; each is ours
while its lease lasts and nobody has raised its token (`consent.services.leases`). A lease that
runs out unanswered is a death: what is in a data set may end every process that reads it. So
deaths in a row are counted where steps are claimed, and after a few a step is given up until a
person looks. A refusal is an answer, and puts it off only.
"""

import logging
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.db import connection, transaction

from consent.models import ErasureStep
from consent.selectors.requests import steps_to_do
from consent.services import leases
from consent.services.leases import LostClaimError
from governance.locks import Lock

logger = logging.getLogger(__name__)

BLOCKED_SECONDS = 60
RETRY_SECONDS = 5
A_DAY_SECONDS = 24 * 3600
A_PERSON_IS_NEEDED = "person_needed"
MOST_DEATHS = 6
WORKERS_LOST = "workers_lost"
_WORKERS_LOST = (
    "whoever worked at the data set died each time: see the workers' log and memory, mend or "
    "replace what they died on, and have it tried again"
)


@dataclass(frozen=True, slots=True)
class Batch:
    """Steps of one data set that are ours, with the token under which each was claimed."""

    dataset_id: int
    tokens: Mapping[int, int]

    def steps(self) -> list[ErasureStep]:
        """Return the steps with what is needed to do them, the ones due first at the front."""
        found = ErasureStep.objects.select_related("request__subject", "dataset__storage")
        return list(found.filter(pk__in=self.tokens).order_by("request__due_at", "pk"))

    def only(self, step_ids: Collection[int]) -> "Batch":
        """Return the part of it that consists of some steps."""
        kept = {pk: token for pk, token in self.tokens.items() if pk in step_ids}
        return Batch(self.dataset_id, kept)


@transaction.atomic
def claim(*, dataset_id: int, limit: int) -> Batch | None:
    """Take up to ``limit`` steps of a data set that can be done, the ones due first.

    Nothing while another worker is at the same data set: two that rewrite one file hinder each
    other, and what came meanwhile is done together when that one has ended.
    """
    with connection.cursor() as cursor:
        # A lock of its own: rows of another batch may be locked for as long as it is finished.
        cursor.execute(
            "SELECT pg_advisory_xact_lock(%s, %s)", [Lock.ERASURE_BATCH, dataset_id % (1 << 31)]
        )
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM consent_erasurestep WHERE dataset_id = %s"
            " AND state = 'running' AND lease_until >= clock_timestamp())",
            [dataset_id],
        )
        if cursor.fetchone()[0]:
            return None
        _give_up(dataset_id)
        due = list(steps_to_do().filter(dataset_id=dataset_id).values_list("pk", flat=True)[:limit])
        cursor.execute(
            """
            UPDATE consent_erasurestep
               SET state = 'running', token = token + 1, attempt = attempt + 1,
                   deaths = deaths + (state = 'running')::int, code = '', reason = '',
                   lease_until = clock_timestamp() + make_interval(secs => %s)
             WHERE id = ANY(%s)
               AND (state IN ('ready', 'blocked')
                    OR state = 'running' AND lease_until < clock_timestamp())
            RETURNING id, token
            """,
            [settings.COLOPHON_LEASE_SECONDS, due],
        )
        tokens = dict(cursor.fetchall())
    return Batch(dataset_id, tokens) if tokens else None


def _give_up(dataset_id: int) -> None:
    """Leave the steps of a data set, of which nobody is at any, that cost too many workers.

    A batch dies as one and shares its files, so it is not cut into smaller ones: it would cost
    more workers to learn the same. For the same reason a single death is too many where a step
    has been given up and nobody has looked since.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_erasurestep s
               SET state = 'blocked', code = %s, reason = %s, deaths = deaths + 1,
                   lease_until = NULL, retry_at = NULL
             WHERE dataset_id = %s AND state = 'running' AND lease_until < clock_timestamp()
               AND (deaths + 1 >= %s
                    OR EXISTS (SELECT FROM consent_erasurestep
                                WHERE dataset_id = s.dataset_id
                                  AND state = 'blocked' AND retry_at IS NULL))
            """,
            [WORKERS_LOST, _WORKERS_LOST, dataset_id, MOST_DEATHS],
        )
        lost = cursor.rowcount
    if lost:
        logger.error("%d steps of data set %d are given up: workers were lost", lost, dataset_id)


def remember_located(batch: Batch, rows: Mapping[int, int]) -> None:
    """Keep how many rows each step found before anything is erased; the most ever found stays.

    Raises `LostClaimError` if any of them is not ours any more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_erasurestep s
               SET located_rows = greatest(coalesce(s.located_rows, 0), c.located)
              FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS c (id, token, located)
             WHERE s.id = c.id AND s.token = c.token AND s.state = 'running'
            """,
            [*_columns(batch), [rows.get(pk, 0) for pk in batch.tokens]],
        )
        if cursor.rowcount != len(batch.tokens):
            raise LostClaimError


def put_off(batch: Batch, code: str, reason: str, *, retryable: bool) -> None:
    """Say what stands in the way; an unreachable storage is tried soon, a missing one later."""
    base = RETRY_SECONDS if retryable else BLOCKED_SECONDS
    if code == A_PERSON_IS_NEEDED:
        base = A_DAY_SECONDS
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_erasurestep s
               SET state = 'blocked', code = %s, reason = %s, lease_until = NULL, deaths = 0,
                   retry_at = clock_timestamp() + make_interval(
                       secs => %s * CASE WHEN %s THEN least(s.attempt, 12) ELSE 1 END)
              FROM unnest(%s::bigint[], %s::bigint[]) AS c (id, token)
             WHERE s.id = c.id AND s.token = c.token AND s.state = 'running'
            """,
            [code, reason, base, retryable, *_columns(batch)],
        )


def kept_alive(batch: Batch) -> AbstractContextManager[None]:
    """Renew the leases of a batch until the block ends."""
    return leases.kept_alive(partial(_renew, batch))


def _columns(batch: Batch) -> tuple[list[int], list[int]]:
    return list(batch.tokens), list(batch.tokens.values())


def _renew(batch: Batch) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            UPDATE consent_erasurestep s
               SET lease_until = clock_timestamp() + make_interval(secs => %s)
              FROM unnest(%s::bigint[], %s::bigint[]) AS c (id, token)
             WHERE s.id = c.id AND s.token = c.token AND s.state = 'running'
            """,
            [settings.COLOPHON_LEASE_SECONDS, *_columns(batch)],
        )
