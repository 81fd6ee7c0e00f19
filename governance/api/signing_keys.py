"""The public halves of our signing keys, where everybody looks for them."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from governance.selectors import signing as known
from governance.services import signing

MEDIA_TYPE = "application/jwk-set+json"
KEPT_FOR = int(signing.PUBLISHED_AHEAD.total_seconds())


@require_safe
def jwks(_request: HttpRequest) -> HttpResponse:
    """Give out the keys as a JSON Web Key Set; anyone may read it, from any page, and keep it."""
    if not known.published():
        signing.first_key()
    response = JsonResponse(known.key_set(), content_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = f"public, max-age={KEPT_FOR}"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
