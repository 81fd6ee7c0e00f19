"""How pages are answered: headers that keep them private, and errors as pages."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from django.core.paginator import Page, Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from consent.portal import visits
from consent.portal.visits import Visitor
from governance.errors import ColophonError

ROWS = 50  # of a list on one page

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponse]

# The pages need a stylesheet and a picture of ours, and nothing else in the world.
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)


def page(view: View[P]) -> View[P]:
    """Answer our own errors as pages, and allow a page nothing that it does not use."""

    @wraps(view)
    def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        try:
            response = view(request, *args, **kwargs)
        except ColophonError as error:
            response = _told(request, error)
        response.headers["Content-Security-Policy"] = POLICY
        return response

    return answered


def private(view: View[P]) -> View[P]:
    """Answer as `page`, and let nobody keep a copy or list the page."""

    @wraps(view)
    def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        response = page(view)(request, *args, **kwargs)
        response.headers["Cache-Control"] = "no-store"
        response.headers["X-Robots-Tag"] = "noindex, nofollow"
        return response

    return answered


def personal(view: Callable[Concatenate[HttpRequest, Visitor, P], HttpResponse]) -> View[P]:
    """Answer as `private`, to somebody who has signed in.

    Somebody who was erased is told so, and nothing else.
    """

    @wraps(view)
    def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        visitor = visits.visitor(request)
        if visitor is None:
            return redirect("portal:sign-in")
        if visitor.erased_at is not None:
            return shown(request, "erased", {"erased_at": visitor.erased_at})
        return view(request, visitor, *args, **kwargs)

    return private(answered)


def shown(
    request: HttpRequest, name: str, context: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """Render a page of ours."""
    return render(request, f"portal/{name}.html", context, status=status)


def part(request: HttpRequest, rows: Sequence[Any], name: str) -> Page[Any]:
    """Return the page of a list that is asked for; one that is none is the first or the last."""
    return Paginator(rows, ROWS).get_page(request.GET.get(name))


def _told(request: HttpRequest, error: ColophonError) -> HttpResponse:
    if error.status == 404:
        return render(request, "404.html", status=404)
    return shown(request, "refused", {"error": error}, status=error.status)
