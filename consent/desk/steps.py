"""One step: what stands in the way, trying it again, and settling it by hand."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from consent.desk import words
from consent.desk.forms import SettlementForm
from consent.desk.pages import shown, staff, who
from consent.models import ErasureStep
from consent.selectors import requests
from consent.services import retrying
from consent.services.settling import settle_step
from lineage.selectors.transparency import Certainty


@require_safe
@staff
def step(request: HttpRequest, uuid: UUID, step: UUID) -> HttpResponse:
    """Show a step, and what can be done about it."""
    return _page(request, requests.step_of(requests.standing(uuid), step), SettlementForm())


@require_POST
@staff
def retry(request: HttpRequest, uuid: UUID, step: UUID) -> HttpResponse:
    """Have it tried again at once."""
    found = requests.step_of(requests.standing(uuid), step)
    others = retrying.retry_step(step=found, by=who(request)) - 1
    told = f", and with it {others} more of the data set that were given up" if others else ""
    messages.success(request, f"It is tried again as soon as a worker is free{told}.")
    return redirect("desk:step", uuid=uuid, step=step)


@require_POST
@staff
def settle(request: HttpRequest, uuid: UUID, step: UUID) -> HttpResponse:
    """Settle it by hand, with a reason and what shows it."""
    found = requests.step_of(requests.standing(uuid), step)
    form = SettlementForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form, status=400)
    settle_step(step=found, by=who(request), **form.cleaned_data)
    messages.success(request, "It is settled, and the ledger knows by whom.")
    return redirect("desk:step", uuid=uuid, step=step)


def _page(
    request: HttpRequest, found: ErasureStep, form: SettlementForm, status: int = 200
) -> HttpResponse:
    blocked = found.state == ErasureStep.State.BLOCKED and found.released_at is not None
    context = {
        "step": found,
        "state": words.step(found),
        "certainty": words.CERTAINTY[Certainty(found.certainty)],
        "advice": words.advice(found.code) if blocked else None,
        "blocked": blocked,
        "form": form,
    }
    return shown(request, "step", context, status=status)
