"""The rules in force, and those that were: they are public, drafts are not."""

from datetime import datetime

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from governance.errors import NotFoundError
from governance.models import Policy, PolicyVersion, Purpose


def purposes() -> QuerySet[Purpose]:
    """Return every purpose with its parent, ordered by ``uuid``."""
    return Purpose.objects.select_related("parent").order_by("uuid")


def purpose(key: str) -> Purpose:
    """Return one purpose, or raise `NotFoundError`."""
    found = purposes().filter(key=key).first()
    if found is None:
        raise NotFoundError("there is no such purpose")
    return found


def policy(key: str) -> Policy:
    """Return a policy, published or not, or raise `NotFoundError`."""
    found = Policy.objects.filter(key=key).first()
    if found is None:
        raise NotFoundError("there is no such policy")
    return found


def published_policies() -> QuerySet[Policy]:
    """Return policies with a published version; their ``versions`` are only those, newest first."""
    published = PolicyVersion.objects.exclude(published_at=None)
    versions = Prefetch("versions", queryset=published.order_by("-number"))
    has_one = Exists(published.filter(policy=OuterRef("pk")))
    return Policy.objects.filter(has_one).prefetch_related(versions).order_by("uuid")


def policies_in_force(at: datetime) -> "QuerySet[PolicyVersion]":
    """Return of each policy the version that had been published last at an instant."""
    published = PolicyVersion.objects.filter(published_at__lte=at).order_by("policy_id", "-number")
    return published.distinct("policy_id").select_related("policy")


def published_policy(key: str) -> Policy:
    """Return one published policy, or raise `NotFoundError`, for a mere draft too."""
    found = published_policies().filter(key=key).first()
    if found is None:
        raise NotFoundError("there is no such policy")
    return found
