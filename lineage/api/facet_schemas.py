"""The schemas of our own facets, which never change once they are published."""

import hashlib
from functools import cache
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.views.decorators.http import condition, require_safe

from lineage import facets

PLACE = Path(facets.__file__).parent / "schemas"
MEDIA_TYPE = "application/schema+json"
KEPT_FOR = 365 * 24 * 3600


@cache
def published() -> dict[tuple[str, str], bytes]:
    """Return every schema by version and name."""
    return {(each.parent.name, each.stem): each.read_bytes() for each in PLACE.glob("*/*.json")}


def _etag(_request: HttpRequest, version: str, name: str) -> str | None:
    found = published().get((version, name))
    return None if found is None else f'"{hashlib.sha256(found).hexdigest()}"'


@require_safe
@condition(etag_func=_etag)
def facet_schema(_request: HttpRequest, version: str, name: str) -> HttpResponse:
    """Give out one schema; anyone may read it, from any page, and keep it."""
    found = published().get((version, name))
    if found is None:
        raise Http404
    response = HttpResponse(found, content_type=MEDIA_TYPE)
    response.headers["Cache-Control"] = f"public, max-age={KEPT_FOR}, immutable"
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
