"""Let go of what need not be kept: raw bodies after a while, and the runs of old months.

What a month's runs read is condensed into edges between versions before the month goes, so that
every walk gives the same answer after as before.
"""

from datetime import date, timedelta

from django.db import connection, transaction
from django.utils import timezone

from lineage.models import Horizon, InboxEvent
from lineage.selectors.horizon import FAMILIES, Month, months
from lineage.services.locks import wait_for_graph


def expire_bodies(*, older_than: timedelta, limit: int = 10_000) -> int:
    """Empty the bodies of events that were applied or refused long ago; return how many.

    The row stays with its digest, so that the event sent again is still a repeat.
    """
    old = InboxEvent.objects.filter(
        state__in=[InboxEvent.State.DONE, InboxEvent.State.DEAD],
        received_at__lt=timezone.now() - older_than,
    ).exclude(body_sealed=b"")  # fmt: skip
    due = list(old.order_by("pk").values_list("pk", flat=True)[:limit])
    return InboxEvent.objects.filter(pk__in=due).update(body_sealed=b"")


@transaction.atomic
def drop_months_before(first: date) -> list[Month]:
    """Drop the runs of the months before ``first``; return the months that went."""
    first = first.replace(day=1)
    wait_for_graph()
    gone = [each for each in months() if each.month < first]
    if gone:
        _condense(first)
        _drop(gone)
    newest = Horizon.objects.order_by("-month").first()
    if newest is None or newest.month < first:
        Horizon.objects.create(month=first, reached_at=timezone.now())
    return gone


def _condense(first: date) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO lineage_keptedge (child_id, parent_id, masked)
            SELECT v.id, parent.id, bool_and(parent.masked)
              FROM lineage_run r
              JOIN lineage_datasetversion v ON v.run_id = r.id
             CROSS JOIN LATERAL lineage_parents(v.id) AS parent
             WHERE r.month < %s
             GROUP BY v.id, parent.id
            ON CONFLICT (child_id, parent_id) DO NOTHING
            """,
            [first],
        )
        for facets in ("lineage_runfacet", "lineage_usefacet"):
            cursor.execute(
                f"DELETE FROM {facets} f USING lineage_run r"  # noqa: S608 a name of ours
                " WHERE f.run_id = r.id AND r.month < %s",
                [first],
            )


def _drop(gone: list[Month]) -> None:
    parts = [f"lineage_{family}_{each.month:%Y_%m}" for each in gone for family in FAMILIES]
    with connection.cursor() as cursor:
        # Rows that wait for a deferred check would keep their tables from going.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"DROP TABLE {', '.join(parts)}")
