"""Columns and lookups that mean the same in every app."""

from typing import Any

from django.db import models
from django.db.models.functions import Length
from uuid_utils.compat import uuid7

# ``__length`` on a binary column counts bytes; constraints on digests need it.
models.BinaryField.register_lookup(Length)


def public_id() -> "models.UUIDField[Any, Any]":
    """Return the name of a row outside: a UUIDv7 (RFC 9562), made here and never changed."""
    return models.UUIDField(default=uuid7, unique=True, editable=False)
