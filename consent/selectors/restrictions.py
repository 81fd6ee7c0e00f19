"""Whose data may be used for nothing at an instant, whatever a use rests on: Art. 18."""

from datetime import datetime

from django.db.models import Q, QuerySet

from consent.models import Restriction, Subject
from consent.selectors.persons import rows_of


def in_force(at: datetime) -> "QuerySet[Restriction]":
    """Return what restricts anybody at an instant.

    It is read as it is, and gathered nowhere: so it counts from the moment in which it is
    committed, and there is nothing that could lag behind.
    """
    lasting = Q(until=None) | Q(until__gt=at)
    return Restriction.objects.filter(lasting, since__lte=at)


def unlifted(subject: Subject) -> Restriction | None:
    """Return what restricts one person until somebody lifts it, if anything does."""
    found = Restriction.objects.filter(subject__in=rows_of(subject), until=None)
    return found.select_related("request__subject").order_by("pk").first()


def is_restricted(subject: Subject, at: datetime) -> bool:
    """Say of one person what `in_force` says of many."""
    return in_force(at).filter(subject__in=rows_of(subject)).exists()
