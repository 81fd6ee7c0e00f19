"""Statements over whole columns of values."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from django.db import connection
from psycopg.types.array import ListBinaryDumper

REPEATED = 2


@contextmanager
def bulk_cursor() -> "Iterator[psycopg.Cursor[Any]]":
    """Yield a cursor of Django's own connection and transaction that binds on the server.

    Django's cursors write values into the statement as text, which for arrays of thousands costs
    more than the statement itself; for the same reason arrays travel in binary, where no text has
    to be quoted. A statement that comes again is planned once per connection.
    """
    connection.ensure_connection()
    connection.connection.prepare_threshold = REPEATED
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.adapters.register_dumper(list, ListBinaryDumper)
        yield cursor
