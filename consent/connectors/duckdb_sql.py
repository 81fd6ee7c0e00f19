"""What DuckDB does otherwise than the databases that SQLAlchemy knows well.

Its SQLAlchemy dialect reads the catalogue as if it were PostgreSQL's, which newer versions refuse;
the standard's ``information_schema`` answers in all of them.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.types import TypeEngine

# What fits neither text nor a signed machine word is compared by DuckDB's own text.
_INTEGERS: Final = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER"}


def columns(connection: sa.Connection, schema: str | None, name: str) -> dict[str, TypeEngine[Any]]:
    """Return the columns of a table; raise SQLAlchemy's ``NoSuchTableError`` if there is none."""
    listed = connection.execute(
        sa.text(
            "SELECT column_name, data_type FROM information_schema.columns"
            " WHERE table_catalog = current_database() AND table_name = :name"
            " AND table_schema = coalesce(:schema, current_schema())"
        ),
        {"name": name, "schema": schema},
    ).all()
    if not listed:
        raise exc.NoSuchTableError(name)
    return {str(column): _type(str(kind)) for column, kind in listed}


def _type(kind: str) -> TypeEngine[Any]:
    if kind in _INTEGERS:
        return sa.BigInteger()
    return sa.Text() if kind == "VARCHAR" else sa.types.NullType()
