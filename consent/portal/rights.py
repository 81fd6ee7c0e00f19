"""Choosing among one's rights: one plain page, and one press for each."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date
from uuid import uuid4

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST

from consent.models import RequestKind
from consent.portal import visits, words
from consent.portal.forms import RightForm
from consent.portal.pages import personal, shown
from consent.portal.visits import Visitor
from consent.selectors import portal, restrictions
from consent.selectors.requests import ENDED, Standing, day_of, due_if_asked
from consent.services import requests, restricting
from governance.legal import LegalBasis, Need, need_of
from governance.models import Purpose
from governance.selectors.rules import purposes


@dataclass(frozen=True, slots=True)
class Line:
    """One request of a person, in words; ``due_on`` while it is open and its clock runs."""

    standing: Standing
    title: str
    state: str
    due_on: date | None


@require_http_methods(["GET", "HEAD", "POST"])
@personal
def choose(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Show the rights that can be asked for; one press asks, and a second one does not again."""
    form = RightForm(request.POST if request.method == "POST" else None, purposes=objectable())
    if form.is_valid():
        said = form.cleaned_data
        opened = requests.open_request(
            subject=visits.registered(request, visitor), kind=said["kind"], key=said["key"],
            details=said["details"], purposes=said["purposes"], verified=True,
        )  # fmt: skip
        return redirect("portal:request", uuid=opened.uuid)
    subject = visitor.subject
    context = {
        "form": form,
        "keys": {kind: uuid4() for kind in RequestKind.values},
        "objectable": objectable(),
        "restriction": restrictions.unlifted(subject) if subject else None,
        "lines": lines(portal.requests_of(subject)) if subject else [],
        "due_on": day_of(due_if_asked(timezone.now())),
    }
    return shown(request, "rights", context, status=400 if form.is_bound else 200)


@require_POST
@personal
def lift(request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Lift the person's own restriction; doing it twice is harmless."""
    restriction = restrictions.unlifted(visitor.subject) if visitor.subject else None
    if restriction is not None:
        restricting.withdraw(request=restriction.request)
    messages.success(request, "Your data is not restricted. What you allow counts again.")
    return redirect("portal:rights")


def lines(asked: Collection[Standing]) -> list[Line]:
    """Say of each request what it is and where it stands."""
    return [
        Line(
            each, words.REQUEST[RequestKind(each.request.kind)], words.state_of(each),
            None if each.state in ENDED or each.paused_since else each.due_on,
        )
        for each in asked
    ]  # fmt: skip


def objectable() -> list[Purpose]:
    """Return the purposes that give way to an objection."""
    return [each for each in purposes() if need_of(LegalBasis(each.legal_basis)) is Need.OBJECTION]
