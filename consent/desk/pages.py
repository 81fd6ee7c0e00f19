"""How pages of the desk are answered: to staff, kept by nobody, and errors as pages."""

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.contrib.auth import get_user_model
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.cache import cache_control

from consent.desk import words
from consent.models import PlanApproval
from governance.errors import ColophonError
from governance.models import ApiClient

ROWS = 25

P = ParamSpec("P")
Q = TypeVar("Q", bound=StrEnum)
View = Callable[Concatenate[HttpRequest, P], HttpResponse]


def staff(view: View[P]) -> View[P]:
    """Answer to staff who have signed in; send others to sign in, and refuse who may not."""

    @wraps(view)
    @cache_control(no_store=True)
    def answered(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
        if not request.user.is_authenticated:
            return redirect_to_login(request.get_full_path(), reverse("admin:login"))
        if not request.user.is_staff:
            raise PermissionDenied
        try:
            return view(request, *args, **kwargs)
        except ColophonError as error:
            if error.status == 404:
                return render(request, "404.html", status=404)
            return shown(request, "refused", {"error": error}, status=error.status)

    return answered


def shown(
    request: HttpRequest, name: str, context: dict[str, Any] | None = None, status: int = 200
) -> HttpResponse:
    """Render a page of the desk."""
    return render(request, f"desk/{name}.html", context, status=status)


def who(request: HttpRequest) -> str:
    """Return the name under which somebody of the staff decides: it says nothing outside."""
    return f"{PlanApproval.STAFF}{request.user.pk}"


def called(said: Iterable[str]) -> dict[str, str]:
    """Return what those who decided are called, by their names on record: colleagues, programs."""
    said = set(said)
    staff_keys = [each.removeprefix("staff:") for each in said if each.startswith("staff:")]
    users = get_user_model().objects.filter(pk__in=staff_keys)
    clients = ApiClient.objects.filter(
        uuid__in=[each.removeprefix("client:") for each in said if each.startswith("client:")]
    )
    return {
        **{f"staff:{each.pk}": each.get_username() for each in users},
        **{f"client:{each.uuid}": each.name for each in clients},
    }


def part(
    request: HttpRequest, rows: "QuerySet[Any] | Sequence[Any]", name: str = "page"
) -> Page[Any]:
    """Return the page of a list that is asked for; one that is none is the first or the last."""
    return Paginator(rows, ROWS).get_page(request.GET.get(name))


def listing(
    request: HttpRequest, kind: str, name: str, rows: "QuerySet[Any] | Sequence[Any]"
) -> dict[str, Any]:
    """Return what each page that lists a queue shows: what it is called, and a part of it."""
    return {
        "term": words.QUEUE[kind, name],
        "page": part(request, rows),
        "keep": f"queue={name}&",
    }


def chosen(request: HttpRequest, queues: type[Q], otherwise: Q, name: str = "queue") -> Q:
    """Return which of some queues is asked for; what is none of them asks for the usual one."""
    asked = request.GET.get(name, "")
    return queues(asked) if asked in set(queues) else otherwise
