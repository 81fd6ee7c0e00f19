"""Statements over whole columns of values."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection


@contextmanager
def bulk_cursor() -> "Iterator[psycopg.Cursor[Any]]":
    """Yield a cursor of Django's own connection and transaction that binds on the server.

    Django's cursors write values into the statement as text, which for arrays of thousands costs
    more than the statement itself.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor
