"""Messages to others that did not arrive: see them, deliver them again, or send nothing there."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from consent.desk.pages import chosen, listing, part, shown, staff
from consent.selectors import queues
from consent.selectors.queues import DeliveryQueue
from governance.selectors import webhooks as known
from governance.services import webhooks as services

BY_OPERATOR = "by_operator"


@require_safe
@staff
def deliveries(request: HttpRequest) -> HttpResponse:
    """List the messages that are late, or that were given up, the oldest first."""
    queue = chosen(request, DeliveryQueue, DeliveryQueue.FAILING)
    context = listing(request, "webhooks", queue, queues.deliveries_in(queue))
    return shown(request, "deliveries", context)


@require_safe
@staff
def disabled(request: HttpRequest) -> HttpResponse:
    """List the webhooks to which nothing is sent any more."""
    rows = known.disabled().order_by("disabled_at", "pk")
    return shown(request, "webhooks", listing(request, "webhooks", "disabled", rows))


@require_safe
@staff
def webhook(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Show where a client is told, what did not arrive there, and what can be done about it."""
    found = known.endpoint_named(uuid)
    context = {"webhook": found, "page": part(request, queues.undelivered_to(found))}
    return shown(request, "webhook", context)


@require_POST
@staff
def deliver(request: HttpRequest, uuid: UUID, delivery: UUID) -> HttpResponse:
    """Send again what was given up, from the first attempt on."""
    services.retry(delivery=known.delivery(known.endpoint_named(uuid), delivery))
    messages.success(request, "It is sent again as soon as a worker is free.")
    return redirect("desk:webhook", uuid=uuid)


@require_POST
@staff
def disable(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Send nothing there any more; what waits is given up."""
    services.disable(endpoint=known.endpoint_named(uuid), code=BY_OPERATOR)
    messages.success(request, "Nothing is sent there any more.")
    return redirect("desk:webhook", uuid=uuid)
