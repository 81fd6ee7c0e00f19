"""What data sets wait for: data that came back, and readings of who is in them."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from consent.desk.pages import chosen, listing, shown, staff
from consent.selectors import queues
from consent.selectors.queues import ScanQueue
from consent.services import scanning
from governance.selectors import registry


@require_safe
@staff
def reappearances(request: HttpRequest) -> HttpResponse:
    """List data that came back, and what sees to it; never whose it is."""
    context = listing(request, "reappearances", "open", queues.reappearances_open())
    return shown(request, "reappearances", context)


@require_safe
@staff
def scans(request: HttpRequest) -> HttpResponse:
    """List readings of storages that are under way, or that failed and can be asked for again."""
    queue = chosen(request, ScanQueue, ScanQueue.FAILED)
    return shown(request, "scans", listing(request, "scans", queue, queues.scans_in(queue)))


@require_POST
@staff
def scan(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Have a data set scanned again; one scan that is under way is enough."""
    asked = scanning.ask(dataset=registry.dataset(uuid))
    said = "A worker reads it as soon as one is free." if asked.created else "It is being scanned."
    messages.success(request, said)
    return redirect(f"{reverse('desk:scans')}?queue={ScanQueue.OPEN}")
