"""Model versions that hold the data of people who are to be erased, and measures about them."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from consent.desk import words
from consent.desk.pages import called, listing, shown, staff, who
from consent.measures import MeasureKind
from consent.selectors import remedies
from consent.services import remedies as services


@require_safe
@staff
def models(request: HttpRequest) -> HttpResponse:
    """List those that nothing makes good yet, the oldest first."""
    rows = remedies.open_now().order_by("opened_at", "pk")
    context = listing(request, "remediations", "open", rows)
    found = remedies.standings(context["page"].object_list)
    return shown(request, "models", {**context, "models": found})


@require_safe
@staff
def measures(request: HttpRequest) -> HttpResponse:
    """List what was done about models and waits for a person who stands for it."""
    rows = remedies.to_approve().select_related(
        "by", "remediation__request", "remediation__model_version__model__dataset",
        "remediation__model_version__version",
    )  # fmt: skip
    context = listing(request, "measures", "unapproved", rows)
    found = [(each, words.MEASURE[MeasureKind(each.kind)]) for each in context["page"].object_list]
    return shown(request, "measures", {**context, "measures": found})


@require_safe
@staff
def measure(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Show what one measure shows, and whether somebody has to stand for it."""
    remedied = remedies.of_measure(uuid)
    found = remedies.measure(remedied, uuid)
    context = {
        "remedied": remedied,
        "measure": found,
        "term": words.MEASURE[MeasureKind(found.kind)],
        "evidence": words.evidence(found.evidence),
        "waits": remedies.to_approve().filter(pk=found.pk).exists(),
        "second": called([found.second]).get(found.second) if found.second else None,
    }
    return shown(request, "measure", context)


@require_POST
@staff
def approve(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Stand for a measure whose evidence was read."""
    found = remedies.measure(remedies.of_measure(uuid), uuid)
    services.approve(measure=found, by=who(request))
    messages.success(request, "You stand for it, and the ledger knows that you do.")
    return redirect("desk:measure", uuid=uuid)
