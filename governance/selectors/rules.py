"""The rules in force, and those that were: they are public, drafts are not."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from django.db.models import Exists, OuterRef, Prefetch, QuerySet

from governance.errors import NotFoundError
from governance.models import Policy, PolicyVersion, Purpose
from governance.policy_rules import demands_of_published
from governance.standard_purposes import STANDARD, StandardPurpose


class StandardState(StrEnum):
    """How a standard purpose stands to those that are registered."""

    MISSING = "missing"
    THERE = "there"
    OTHER = "other"  # its key stands for something else
    LEFT_OUT = "left_out"  # what it would be part of is something else, or left out too


@dataclass(frozen=True, slots=True)
class Planned:
    """A standard purpose and whether it is to be added."""

    purpose: StandardPurpose
    state: StandardState


def standard_purposes() -> list[Planned]:
    """Return every standard purpose with its state, wider ones before narrower ones.

    One is there if its key has its address, whatever its title, ground and place are.
    """
    known = dict(Purpose.objects.values_list("key", "dpv_iri"))
    found: dict[str, Planned] = {}
    for each in STANDARD:
        above = found[each.parent].state if each.parent else StandardState.THERE
        if each.key in known:
            same = known[each.key] == each.dpv_iri
            state = StandardState.THERE if same else StandardState.OTHER
        elif above in {StandardState.OTHER, StandardState.LEFT_OUT}:
            state = StandardState.LEFT_OUT
        else:
            state = StandardState.MISSING
        found[each.key] = Planned(each, state)
    return list(found.values())


def purposes() -> QuerySet[Purpose]:
    """Return every purpose with its parent, ordered by ``uuid``."""
    return Purpose.objects.select_related("parent").order_by("uuid")


def chains() -> dict[int, list[Purpose]]:
    """Return, for each purpose's key, it and every wider one, the nearest first."""
    known = {each.pk: each for each in purposes()}
    found = {}
    for pk, each in known.items():
        found[pk] = [each]
        while (parent := found[pk][-1].parent_id) is not None:
            found[pk].append(known[parent])
    return found


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


def policies_heeding_signals(at: datetime) -> "list[PolicyVersion]":
    """Return the versions in force that take a browser's privacy signal for an objection."""
    return [
        version
        for version in policies_in_force(at)
        if any(each.privacy_signal for each in demands_of_published(version.rules))
    ]


def published_policy(key: str) -> Policy:
    """Return one published policy, or raise `NotFoundError`, for a mere draft too."""
    found = published_policies().filter(key=key).first()
    if found is None:
        raise NotFoundError("there is no such policy")
    return found
