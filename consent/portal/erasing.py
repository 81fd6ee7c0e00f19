"""Asking for deletion: one page that says what will happen, and one press."""

from uuid import uuid4

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from consent.portal import visits
from consent.portal.forms import ErasureForm
from consent.portal.pages import personal, shown
from consent.portal.visits import Visitor
from consent.selectors import portal
from consent.selectors.requests import day_of, due_if_asked
from consent.services import requests


@require_http_methods(["GET", "HEAD", "POST"])
@personal
def erase(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Tell what deletion means, and open it once confirmed; one that is open is enough.

    One that somebody else opened, and of which it is not known that the person wants it, is not.
    """
    subject = visitor.subject
    under_way = portal.erasure_under_way(portal.requests_of(subject) if subject else [])
    if under_way is not None and under_way.verified_at is not None:
        return redirect("portal:request", uuid=under_way.uuid)
    form = ErasureForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        opened = requests.open_erasure(
            subject=visits.registered(request, visitor),
            key=form.cleaned_data["key"],
            verified=True,
        )
        return redirect("portal:request", uuid=opened.uuid)
    held = [each for each in portal.holdings(subject) if each.until is None] if subject else []
    context = {
        "key": uuid4(),
        "held": held,
        "made": portal.model_uses(subject) if subject else [],
        "due_on": day_of(due_if_asked(timezone.now())),
    }
    return shown(request, "erase", context, status=400 if form.is_bound else 200)
