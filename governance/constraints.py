"""Which named constraint a statement broke, so that a service can say what stands in the way."""

from django.db import IntegrityError


def broken_by(error: IntegrityError) -> str:
    """Return the constraint's name, or nothing if PostgreSQL does not tell."""
    diagnosis = getattr(error.__cause__, "diag", None)
    return getattr(diagnosis, "constraint_name", None) or ""
