"""Copies of people's data that could not be put together, and having them tried again."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from consent.desk import words
from consent.desk.pages import chosen, listing, shown, staff, who
from consent.selectors import queues, requests
from consent.selectors.queues import CopyQueue
from consent.services import assembling


@require_safe
@staff
def copies(request: HttpRequest) -> HttpResponse:
    """List the copies in a queue, each with what went wrong and what to do next."""
    queue = chosen(request, CopyQueue, CopyQueue.GIVEN_UP)
    context = listing(request, "copies", queue, queues.copies_in(queue))
    stuck = [(each, words.copy(each.code)) for each in context["page"].object_list]
    return shown(request, "copies", {**context, "copies": stuck})


@require_POST
@staff
def retry(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Have the copy of a request tried again at once."""
    assembling.try_again(request=requests.standing(uuid).request, by=who(request))
    messages.success(request, "It is put together as soon as a worker is free.")
    return redirect("desk:plan", uuid=uuid)
