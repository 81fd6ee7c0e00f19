"""Recipients of data: who could not be told of a request, or has not answered, and what to do."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from consent.desk import words
from consent.desk.forms import NoticeSettlementForm
from consent.desk.pages import chosen, listing, shown, staff, who
from consent.selectors import queues
from consent.selectors import recipients as known
from consent.selectors.queues import NoticeQueue
from consent.selectors.recipients import NoticeState
from consent.services import notifying


@require_safe
@staff
def notices(request: HttpRequest) -> HttpResponse:
    """List what recipients are told and did not answer, the oldest first."""
    queue = chosen(request, NoticeQueue, NoticeQueue.GIVEN_UP)
    context = listing(request, "recipients", queue, queues.notices_in(queue))
    told = known.notified(list(context["page"].object_list))
    notices = [(each, words.NOTICE[each.state]) for each in told]
    return shown(request, "notices", {**context, "notices": notices})


@require_safe
@staff
def notice(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Show what a recipient is told of, where that stands, and what can be done about it."""
    return _page(request, known.notice(uuid), NoticeSettlementForm())


@require_POST
@staff
def tell(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Tell them again after it was given up, from the first attempt on."""
    notifying.retry(notice=known.notice(uuid).notice)
    messages.success(request, "They are told again as soon as a worker is free.")
    return redirect("desk:notice", uuid=uuid)


@require_POST
@staff
def settle(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Settle what cannot be told or is not answered, with the reason."""
    found, form = known.notice(uuid), NoticeSettlementForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form, status=400)
    notifying.settle(notice=found.notice, by=who(request), **form.cleaned_data)
    messages.success(request, "It is settled, and on record by whom.")
    return redirect("desk:notice", uuid=uuid)


def _page(
    request: HttpRequest, found: known.Notified, form: NoticeSettlementForm, status: int = 200
) -> HttpResponse:
    context = {
        "told": found,
        "notice": found.notice,
        "state": words.NOTICE[found.state],
        "given_up": found.state is NoticeState.GIVEN_UP,
        "lapses": found.state not in (NoticeState.WAITING, NoticeState.LAPSED, NoticeState.ENDED),
        "ended": found.state is NoticeState.ENDED,
        "form": form,
    }
    return shown(request, "notice", context, status=status)
