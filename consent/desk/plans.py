"""A request and its plan: read it, look without touching, approve it, or reject it."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from consent.desk import words
from consent.desk.forms import ApprovalForm, RejectionForm
from consent.desk.pages import called, part, shown, staff, who
from consent.models import ErasureStep
from consent.selectors import access, planned, requests
from consent.selectors.planned import Planned
from consent.services import approving, looking
from governance.errors import NotFoundError
from lineage.selectors.transparency import Certainty


@require_safe
@staff
def plan(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Show a request with its plan, and what can be done about it."""
    return _page(request, uuid)


@require_POST
@staff
def dry_run(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Ask for a dry run."""
    looking.ask(request=requests.standing(uuid).request, by=who(request))
    messages.success(request, "The workers are looking. Nothing is touched.")
    return redirect("desk:plan", uuid=uuid)


@require_POST
@staff
def approve(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Approve the plan that was read."""
    form = ApprovalForm(request.POST)
    if not form.is_valid():
        return _page(request, uuid, status=400)
    asked = requests.standing(uuid).request
    approving.approve(request=asked, by=who(request), **form.cleaned_data)
    waits = planned.planned(asked).waits
    said = "It needs somebody else's as well." if waits else "The erasure begins."
    messages.success(request, f"Your approval is recorded. {said}")
    return redirect("desk:plan", uuid=uuid)


@require_POST
@staff
def reject(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Reject the plan that was read, and have another made."""
    form = RejectionForm(request.POST)
    if not form.is_valid():
        return _page(request, uuid, form=form, status=400)
    asked = requests.standing(uuid).request
    approving.reject(request=asked, by=who(request), **form.cleaned_data)
    messages.success(request, "The plan is rejected. This is the one made in its place.")
    return redirect("desk:plan", uuid=uuid)


def _page(
    request: HttpRequest, uuid: UUID, form: RejectionForm | None = None, status: int = 200
) -> HttpResponse:
    standing = requests.standing(uuid)
    try:
        found = planned.planned(standing.request)
    except NotFoundError:
        found = None
    stuck = access.stuck().filter(request=standing.request).first()
    context = {
        "asked": standing.request,
        "stuck": stuck,
        "stuck_advice": words.copy(stuck.code) if stuck else None,
        "state": words.STATE[standing.state],
        "outstanding": part(request, standing.outstanding, "outstanding"),
        "form": form or RejectionForm(),
        **(_told(request, found, standing.steps) if found else {}),
    }
    return shown(request, "plan", context, status=status)


def _told(request: HttpRequest, found: Planned, now: Iterable[ErasureStep]) -> dict[str, Any]:
    by_dataset = {str(each.dataset.uuid): each for each in now}
    content = found.plan.content
    names = _names(found)
    mine = who(request)
    return {
        "found": found,
        "steps": part(request, [_step(each, by_dataset) for each in found.steps()], "steps"),
        "untouched": part(request, [_left(each) for each in content["untouched"]], "untouched"),
        "models": part(request, [_known(each) for each in content["models"]], "models"),
        "approvals": [(names.get(each.by, each.by), each.at) for each in found.approvals],
        "rejected": [(names.get(each.by, each.by), each) for each in found.rejected],
        "by_me": any(each.by == mine for each in found.approvals),
    }


def _step(each: dict[str, Any], now: Mapping[str, ErasureStep]) -> dict[str, Any]:
    step = now.get(each["dataset"])
    return {
        **_known(each),
        "obstacle": words.advice(each["code"]) if each["code"] else None,
        "step": step,
        "state": words.step(step) if step else "",
    }


def _left(each: dict[str, Any]) -> dict[str, Any]:
    return {**_known(each), "why": words.LEFT[each["code"]]}


def _known(each: dict[str, Any]) -> dict[str, Any]:
    return {**each, "certainty": words.CERTAINTY[Certainty(each["certainty"])]}


def _names(found: Planned) -> dict[str, str]:
    said = {each.by for each in found.approvals} | {each.by for each in found.rejected}
    return {**called(said), "": "nobody: what it says had changed"}
