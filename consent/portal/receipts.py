"""Taking one's own decisions along, each with its signed receipt."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from consent.portal.pages import personal
from consent.portal.visits import Visitor
from consent.selectors import portal
from consent.services import receipts


@require_safe
@personal
def decisions_json(_request: HttpRequest, visitor: Visitor) -> HttpResponse:
    """Give out everything the person has decided; it names no person, so it can be shown."""
    known = visitor.subject if visitor.subject and portal.is_registered(visitor.subject) else None
    told = receipts.history(known)
    response = JsonResponse(told, json_dumps_params={"indent": 2, "ensure_ascii": False})
    response.headers["Content-Disposition"] = 'attachment; filename="my-decisions.json"'
    return response
