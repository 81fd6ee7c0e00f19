"""The WSGI entry point."""

import os
from collections.abc import Callable, Iterable
from typing import Any

from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIHandler
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, HttpResponseBase

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")

INGESTION = ("/api/v1/lineage", "/api/v1/lineage/batch")


class BareHandler(WSGIHandler):
    """Django without middleware, for machines that send events: no cookies, pages or sessions."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Let requests go straight to their view."""
        for kind in ("view", "exception", "template_response"):
            setattr(self, f"_{kind}_middleware", [])
        straight = self._get_response  # type: ignore[attr-defined]  # the stubs leave it out
        self._middleware_chain = convert_exception_to_response(straight)

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        """Answer, and say how long the answer is: a connection stays open for the next event."""
        response = super().get_response(request)
        if isinstance(response, HttpResponse):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        return response


_pages = get_wsgi_application()
_events = BareHandler()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request; events take the short way."""
    short = environ["REQUEST_METHOD"] == "POST" and environ["PATH_INFO"] in INGESTION
    return (_events if short else _pages)(environ, start_response)
