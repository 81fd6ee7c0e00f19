"""Columns and lookups that mean the same in every app."""

from collections.abc import Iterable
from typing import Any

from django.db import models
from django.db.models.expressions import RawSQL
from django.db.models.functions import Length
from uuid_utils.compat import uuid7

# ``__length`` on a binary column counts bytes; constraints on digests need it.
models.BinaryField.register_lookup(Length)


def among(keys: Iterable[int]) -> RawSQL:
    """Return what ``__in`` takes for keys that may be thousands: they go as one parameter.

    A placeholder for each would cost more than the question itself.
    """
    return RawSQL("SELECT unnest(%s::bigint[])", [list(keys)])


def public_id() -> "models.UUIDField[Any, Any]":
    """Return the name of a row outside: a UUIDv7 (RFC 9562), made here and never changed."""
    return models.UUIDField(default=uuid7, unique=True, editable=False)
