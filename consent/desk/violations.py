"""Trainings that used data without permission: see them, give them to somebody, settle them."""

from uuid import UUID

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_POST, require_safe

from consent.desk.forms import AssignmentForm, ResolutionForm
from consent.desk.pages import listing, shown, staff, who
from consent.models import UseAssessment, Violation
from consent.selectors import assessments
from consent.services import assessing


@require_safe
@staff
def violations(request: HttpRequest) -> HttpResponse:
    """List those that are open, the oldest first."""
    context = listing(request, "violations", "open", assessments.violations(open_only=True))
    found = [(each, reasons_of(each)) for each in context["page"].object_list]
    return shown(request, "violations", {**context, "violations": found})


@require_safe
@staff
def violation(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Show one, and what can be done about it."""
    return _page(request, assessments.violation(uuid))


@require_POST
@staff
def assign(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Give it to somebody to settle."""
    found, form = assessments.violation(uuid), AssignmentForm(request.POST)
    if not form.is_valid():
        return _page(request, found, assignment=form, status=400)
    assessing.assign(violation=found, by=who(request), **form.cleaned_data)
    messages.success(request, "It is assigned.")
    return redirect("desk:violation", uuid=uuid)


@require_POST
@staff
def resolve(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """Settle it, with the reason."""
    found, form = assessments.violation(uuid), ResolutionForm(request.POST)
    if not form.is_valid():
        return _page(request, found, resolution=form, status=400)
    assessing.resolve(violation=found, by=who(request), **form.cleaned_data)
    messages.success(request, "It is settled, and the ledger knows by whom.")
    return redirect("desk:violation", uuid=uuid)


def reasons_of(violation: Violation) -> list[str]:
    """Return in words why the use was not permitted."""
    return [UseAssessment.Reason(each).label for each in violation.assessment.reasons]


def _page(
    request: HttpRequest,
    found: Violation,
    assignment: AssignmentForm | None = None,
    resolution: ResolutionForm | None = None,
    status: int = 200,
) -> HttpResponse:
    context = {
        "violation": found,
        "reasons": reasons_of(found),
        "assignment": assignment or AssignmentForm(initial={"to": found.assigned_to}),
        "resolution": resolution or ResolutionForm(),
    }
    return shown(request, "violation", context, status=status)
