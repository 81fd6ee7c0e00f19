"""What copies are made of, to and from PostgreSQL as it is.

Django writes a value into its statement, in hexadecimal, and reads it back so: in between, a
process holds tens of megabytes many times over. Here they travel in binary, once.
"""

from typing import Final

from psycopg import sql
from psycopg.pq import Format

from consent.models import AccessPackage, CopyReading
from lineage.services.statements import bulk_cursor

Row = AccessPackage | CopyReading
_TABLES: Final = {AccessPackage: "consent_accesspackage", CopyReading: "consent_copyreading"}


def keep(row: Row, sealed: bytes) -> None:
    """Put its sealed content into a row that exists; the row in memory stays without it."""
    with bulk_cursor() as cursor:
        cursor.execute(
            _about("UPDATE {table} SET content_sealed = %b WHERE id = %s", row), [sealed, row.pk]
        )


def kept(row: Row) -> bytes | None:
    """Return the sealed content that a row has now; the row in memory stays without it."""
    with bulk_cursor() as cursor:
        cursor.format = Format.BINARY
        cursor.execute(_about("SELECT content_sealed FROM {table} WHERE id = %s", row), [row.pk])
        found = cursor.fetchone()
    return None if found is None else found[0]


def _about(statement: str, row: Row) -> sql.Composed:
    return sql.SQL(statement).format(table=sql.Identifier(_TABLES[type(row)]))
