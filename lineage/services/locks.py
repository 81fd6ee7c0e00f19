"""The one writer of the graph.

Applying events and freezing provenance read what they are about to change, so they take turns,
under one advisory lock that ends with the transaction.
"""

from django.db import connection

from governance.locks import Lock


def graph_is_ours() -> bool:
    """Take the lock until the transaction ends, or say at once that another has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [Lock.GRAPH_WRITER])
        return bool(cursor.fetchone()[0])


def wait_for_graph() -> None:
    """Take the lock until the transaction ends, waiting for whoever has it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [Lock.GRAPH_WRITER])
