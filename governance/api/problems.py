"""Refusals as RFC 9457 problem details, for REST views and for plain Django ones.

Every problem has ``type``, ``title``, ``status``, ``code`` and ``detail``, and the facts of the
error beside them. What nobody expected becomes a 500 that tells nothing.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.views import defaults
from rest_framework import exceptions, serializers

from governance.errors import ColophonError

MEDIA_TYPE = "application/problem+json"
RETRY_SECONDS = 2
NO_CHOICE = "This is not one of the choices."
_MEMBERS = {"type", "title", "status", "code", "detail", "headers"}
# SQLSTATE classes that pass by themselves: connection, rollback, resources, lock, operator.
_PASSING = ("08", "40", "53", "55", "57")

CODES: dict[type[exceptions.APIException], str] = {
    exceptions.NotAuthenticated: "unauthenticated",
    exceptions.AuthenticationFailed: "unauthenticated",
    exceptions.PermissionDenied: "forbidden",
    exceptions.NotFound: "not_found",
    exceptions.MethodNotAllowed: "method_not_allowed",
    exceptions.NotAcceptable: "not_acceptable",
    exceptions.UnsupportedMediaType: "unsupported_media_type",
    exceptions.ParseError: "malformed_request",
    exceptions.Throttled: "throttled",
}


class ProblemOut(serializers.Serializer[Any]):
    """The shape of every refusal, for the API's description."""

    type = serializers.CharField(default="about:blank")
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField(help_text="stable, for programs")
    detail = serializers.CharField(help_text="one sentence, for people")


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **facts: Any
) -> HttpResponse:
    """Return a problem document; ``facts`` become members beside its own."""
    members = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "code": code,
        "detail": detail,
    }
    challenge = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return JsonResponse(
        facts | members,
        status=status,
        content_type=MEDIA_TYPE,
        headers={**challenge, **(headers or {})},
    )


def of(error: ColophonError) -> HttpResponse:
    """Return the problem that one of our own errors is."""
    facts = {name: fact for name, fact in error.facts.items() if name not in _MEMBERS}
    return problem(error.status, error.code, error.message, **facts)


def handle(exc: Exception, _context: Mapping[str, Any] | None = None) -> HttpResponse | None:
    """Answer an exception of a REST view; None leaves it to Django, which answers 500."""
    match exc:
        case ColophonError():
            return of(exc)
        case exceptions.ValidationError():
            return problem(400, "invalid", "the request is not valid", errors=_errors(exc.detail))
        case exceptions.APIException():
            return _of_framework(exc)
        case Http404():
            return _of_framework(exceptions.NotFound("there is nothing here"))
        case OperationalError() | InterfaceError() if _passes(exc):
            headers = {"Retry-After": str(RETRY_SECONDS)}
            detail = "the database is busy or away; try again"
            return problem(503, "database_unavailable", detail, headers)
    return None


def _of_framework(exc: exceptions.APIException) -> HttpResponse:
    code = CODES.get(type(exc), "error")
    wait = getattr(exc, "wait", None)
    headers = {"Retry-After": str(max(1, round(wait)))} if wait else {}
    return problem(exc.status_code, code, str(exc.detail), headers=headers)


def _errors(detail: Any) -> Mapping[str, Any]:
    said = _unquoted(detail)
    return said if isinstance(said, Mapping) else {"non_field_errors": said}


def _unquoted(detail: Any) -> Any:
    """Return what is wrong without what was sent: the framework repeats a wrong choice."""
    if isinstance(detail, Mapping):
        return {name: _unquoted(each) for name, each in detail.items()}
    if isinstance(detail, list):
        return [_unquoted(each) for each in detail]
    return NO_CHOICE if getattr(detail, "code", "") == "invalid_choice" else detail


def _passes(exc: OperationalError | InterfaceError) -> bool:
    """Tell whether the same request could succeed later; a lost connection has no SQLSTATE."""
    state = getattr(exc.__cause__, "sqlstate", None)
    return state is None or state.startswith(_PASSING)


def _is_api(request: HttpRequest) -> bool:
    return request.path.startswith("/api/")


def handler400(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what Django itself found malformed."""
    if _is_api(request):
        return problem(400, "malformed_request", "the request is malformed")
    return defaults.bad_request(request, exception)


def handler403(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer what Django itself refused."""
    if _is_api(request):
        return problem(403, "forbidden", "this is not allowed")
    return defaults.permission_denied(request, exception)


def handler404(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    """Answer an address that is none."""
    if _is_api(request):
        return problem(404, "not_found", "there is nothing here")
    return defaults.page_not_found(request, exception)


def handler500(request: HttpRequest) -> HttpResponseBase:
    """Answer what nobody expected; the log knows more."""
    if _is_api(request):
        return problem(500, "internal_error", "something went wrong here")
    return defaults.server_error(request)
