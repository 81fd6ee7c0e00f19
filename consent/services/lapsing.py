"""End what recipients were told, or could not be told, once the time for an answer ran out.

Art. 19 GDPR asks that each recipient is told, unless that proves impossible; not that they answer.
So a notice ends by itself and keeps nothing open, and how it ended is said as it is: nobody's
silence is taken for a deed. What is answered later is kept, and counts.
"""

from django.db import transaction
from django.db.models.functions import Now

from consent.models import RecipientNotice
from consent.selectors import recipients as known
from consent.services.telling import record


def let_lapse(*, limit: int) -> int:
    """End up to ``limit`` notices whose time ran out; return how many."""
    return sum(_lapse(pk) for pk in list(known.to_lapse().values_list("pk", flat=True)[:limit]))


@transaction.atomic
def _lapse(pk: int) -> bool:
    held = RecipientNotice.objects.select_for_update(of=("self",)).select_related(
        "request", "recipient"
    )
    notice = held.get(pk=pk)
    # Looked at again now that nobody can answer or try it meanwhile.
    if not known.to_lapse().filter(pk=pk).exists():
        return False
    told = notice.delivered_at is not None
    lapse = RecipientNotice.Lapse.NO_ANSWER if told else RecipientNotice.Lapse.NOT_REACHED
    RecipientNotice.objects.filter(pk=pk).update(lapsed_at=Now(), lapse=lapse)
    facts = {"notice": str(notice.uuid), "recipient": str(notice.recipient.uuid)}
    record(notice.request, "notice.lapsed", {**facts, "lapse": lapse.value})
    return True
