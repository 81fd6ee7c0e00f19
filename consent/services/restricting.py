"""Restrict the use of a person's data, and lift that again: Art. 18."""

from datetime import datetime
from typing import ClassVar

from django.db import transaction
from django.utils import timezone

from consent.models import RequestLetter, Restriction, RightsRequest, Unweighed
from consent.selectors import restrictions
from consent.services import letters, notifying
from consent.services.decisions import announce_change
from consent.services.telling import held, record
from governance.errors import ColophonError
from governance.models import Purpose


class NotRestrictedError(ColophonError):
    """The request restricts nothing, or not any more."""

    code: ClassVar[str] = "not_restricted"
    status: ClassVar[int] = 409


class PersonNotToldError(ColophonError):
    """A restriction is lifted only after the person was told that it will be (Art. 18(3))."""

    code: ClassVar[str] = "person_not_told"
    status: ClassVar[int] = 409


class PersonToldAlreadyError(ColophonError):
    """The person was told already, or is being told."""

    code: ClassVar[str] = "person_told_already"
    status: ClassVar[int] = 409


def begin(request: RightsRequest, *, since: datetime) -> Restriction:
    """Restrict every use, in the caller's transaction; pipelines are told to ask the gate again.

    Standings are not touched: what restricts is read beside them. Trainings that may have been
    concluded about without it are weighed anew.
    """
    made = Restriction.objects.create(request=request, subject=request.subject, since=since)
    Unweighed.objects.create(restriction=made)
    announce_change(Purpose.objects.order_by("pk").values_list("key", flat=True))
    return made


@transaction.atomic
def announce_lifting(*, request: RightsRequest, reason: str) -> None:
    """Tell the person that the restriction is going to be lifted, and why.

    Raises `NotRestrictedError`, `PersonToldAlreadyError`, and `SubjectUnregisteredError` where
    the reason cannot be sealed.
    """
    found, _ = _in_force(request)
    if found.letters.filter(kind=RequestLetter.Kind.LIFTING).exists():
        raise PersonToldAlreadyError("the person was told already")
    letters.write(found, RequestLetter.Kind.LIFTING, text=reason)
    record(found, "restriction.lifting_told", {})


@transaction.atomic
def lift(*, request: RightsRequest) -> None:
    """Lift a restriction as an operator, after the person was told; recipients are told then.

    Told means that the mail left, or that there is no address to which one could: then the
    request's page is what tells. Raises `NotRestrictedError` and `PersonNotToldError`.
    """
    found, restriction = _in_force(request)
    told = found.letters.filter(kind=RequestLetter.Kind.LIFTING, ended_at__isnull=False)
    if not told.exists():
        raise PersonNotToldError("tell the person first; the mail may still be on its way out")
    _end(restriction, Restriction.LiftedBy.OPERATOR)


@transaction.atomic
def withdraw(*, request: RightsRequest) -> None:
    """Lift a restriction as the person who asked for it. Raises `NotRestrictedError`."""
    _, restriction = _in_force(request)
    _end(restriction, Restriction.LiftedBy.PERSON)


def _in_force(request: RightsRequest) -> tuple[RightsRequest, Restriction]:
    found = held(request)
    restriction = restrictions.unlifted(found.subject)
    if restriction is None or restriction.request_id != found.pk:
        raise NotRestrictedError("this request restricts nothing, or not any more")
    return found, restriction


def _end(restriction: Restriction, by: Restriction.LiftedBy) -> None:
    restriction.until, restriction.lifted_by = timezone.now(), by
    restriction.save(update_fields=["until", "lifted_by"])
    # A training that began since, and was concluded about as if it had not ended, is due again.
    # Locked, so that nobody is weighing the word of its beginning just now and then drops it.
    Unweighed.objects.select_for_update().get_or_create(restriction=restriction)
    record(restriction.request, "restriction.lifted", {"by": by.value})
    notifying.tell_of_lifting(restriction.request)
