"""Model versions that hold the data of people who are to be erased."""

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from consent.desk.pages import listing, shown, staff
from consent.selectors import remedies


@require_safe
@staff
def models(request: HttpRequest) -> HttpResponse:
    """List those that nothing makes good yet, the oldest first."""
    rows = remedies.open_now().order_by("opened_at", "pk")
    context = listing(request, "remediations", "open", rows)
    found = remedies.standings(context["page"].object_list)
    return shown(request, "models", {**context, "models": found})
