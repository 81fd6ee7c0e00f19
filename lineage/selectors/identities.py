"""Which names are one data set."""

from collections.abc import Collection, Mapping

from django.db import connection

from lineage.models import Identity


def identity_of(dataset_id: int) -> int:
    """Return the smallest key among the names of a data set."""
    known = Identity.objects.filter(dataset_id=dataset_id).values_list("identity", flat=True)
    return known.first() or dataset_id


def identities(dataset_ids: Collection[int]) -> Mapping[int, int]:
    """Return of each data set the smallest key among its names."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT dataset_id, identity FROM lineage_identity WHERE dataset_id = ANY(%s)",
            [list(dataset_ids)],
        )
        known = dict(cursor.fetchall())
    return {pk: known.get(pk, pk) for pk in dataset_ids}


def called(dataset_ids: Collection[int]) -> set[int]:
    """Return these data sets under all of their names."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT dataset_id FROM lineage_identity WHERE identity IN (
                SELECT identity FROM lineage_identity WHERE dataset_id = ANY(%s))
            """,
            [list(dataset_ids)],
        )
        return {*dataset_ids, *(row[0] for row in cursor.fetchall())}
