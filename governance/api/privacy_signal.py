"""Whether browsers' privacy signals are heeded, where Global Privacy Control says to look."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone
from django.views.decorators.http import require_safe

from governance.selectors import rules

KEPT_FOR = 300


@require_safe
def gpc(_request: HttpRequest) -> HttpResponse:
    """Say yes only while a published policy heeds the signal, and since when the last one does."""
    heeding = rules.policies_heeding_signals(timezone.now())
    told: dict[str, Any] = {"gpc": bool(heeding)}
    published = [each.published_at for each in heeding if each.published_at]
    if published:
        told["lastUpdate"] = max(published).date().isoformat()
    response = JsonResponse(told)
    response.headers["Cache-Control"] = f"public, max-age={KEPT_FOR}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
