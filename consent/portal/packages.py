"""Taking along the copy of one's data that one has asked for."""

from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET

from consent.portal.pages import personal
from consent.portal.visits import Visitor
from consent.selectors import access, requests
from consent.services import packages
from governance.errors import NotFoundError


@require_GET
@personal
def download(_request: HttpRequest, visitor: Visitor, uuid: UUID) -> HttpResponse:
    """Hand over the person's own copy; to anybody else it does not exist."""
    asked = requests.standing(uuid).request
    package = access.package_of(visitor.subject, asked) if visitor.subject else None
    if package is None:
        raise NotFoundError("no such copy of yours is known")
    response = HttpResponse(packages.fetch(package=package), content_type="application/zip")
    response.headers["Content-Disposition"] = 'attachment; filename="my-data.zip"'
    return response
