"""How far back runs are kept, and what lies in which month."""

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import ClassVar

from django.db import connection

from governance.errors import ColophonError
from lineage.models import Horizon

FAMILIES = ("run", "runinput", "runevent", "outputstatement", "flow")
"""The tables that are partitioned by the month of their run."""


class BeforeHorizonError(ColophonError):
    """What is asked about lies before the oldest month whose runs are kept."""

    code: ClassVar[str] = "before_horizon"
    status: ClassVar[int] = 410


@dataclass(frozen=True, slots=True)
class Month:
    """A month's partitions: how many runs, and how many bytes on disk with indexes."""

    month: date
    runs: int
    bytes: int


def horizon() -> datetime | None:
    """Return the instant before which nothing is known run by run, or nothing."""
    last = Horizon.objects.order_by("-month").first()
    if last is None:
        return None
    return datetime(last.month.year, last.month.month, 1, tzinfo=UTC)


def refuse_before_horizon(at: datetime) -> None:
    """Raise `BeforeHorizonError` for an instant whose runs are gone."""
    oldest = horizon()
    if oldest is not None and at < oldest:
        raise BeforeHorizonError(f"runs are kept from {oldest:%B %Y} on: ask about a later instant")


def months() -> list[Month]:
    """Return the months that have partitions, the oldest first."""
    found = []
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT right(c.relname, 7) FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
            " WHERE i.inhparent = 'lineage_run'::regclass ORDER BY 1"
        )
        for (name,) in cursor.fetchall():
            month = date(int(name[:4]), int(name[5:]), 1)
            sizes = " + ".join(
                f"pg_total_relation_size('lineage_{family}_{name}')" for family in FAMILIES
            )
            cursor.execute(
                f"SELECT (SELECT count(*) FROM lineage_run_{name}), {sizes}"  # noqa: S608 of ours
            )
            found.append(Month(month, *cursor.fetchone()))
    return found
