"""The service's own keys, each derived from the master key for one use."""

from functools import cache

from django.conf import settings

from governance.crypto import SealingKey, derive


@cache
def secret_for(use: str) -> bytes:
    """Return the 32-byte secret of one use."""
    return derive(settings.COLOPHON_MASTER_KEY, use)


def organisation_key() -> SealingKey:
    """Return the key for what belongs to the organisation: raw events, storage addresses."""
    return SealingKey(secret_for("organisation-v1"))


def subject_wrapping_key() -> SealingKey:
    """Return the key that wraps each person's own key."""
    return SealingKey(secret_for("subject-wrapping-v1"))
