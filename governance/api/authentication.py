"""Who calls, by bearer key, and whether the key is for this."""

from typing import TYPE_CHECKING, Final

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from governance.models import ApiClient, ApiKey, Scope
from governance.services import clients

if TYPE_CHECKING:  # the framework's settings load this module before its views
    from rest_framework.views import APIView

PUBLIC: Final = "public"
"""Stands in a view's ``scopes`` for a method that anyone may use."""


class BearerKey(BaseAuthentication):
    """``Authorization: Bearer col_…``: the user is the client, ``request.auth`` its key."""

    def authenticate(self, request: Request) -> tuple[ApiClient, ApiKey] | None:
        """Return client and key; None without the header; one error for every bad one."""
        header = request.headers.get("Authorization")
        if header is None:
            return None
        scheme, _, credentials = header.partition(" ")
        if scheme.lower() != "bearer":
            raise clients.UnauthenticatedError("a valid key is needed")
        key = clients.authenticate(credentials.strip())
        return key.client, key

    def authenticate_header(self, request: Request) -> str:
        """Return the challenge of a 401."""
        return "Bearer"


class HasScope(BasePermission):
    """Allow a method to keys that have the scope which the view's ``scopes`` gives for it.

    A method that ``scopes`` does not name is refused to everyone.
    """

    def has_permission(self, request: Request, view: "APIView") -> bool:
        """Allow, or raise what says why not."""
        method = "GET" if request.method == "HEAD" else str(request.method)
        if method != "OPTIONS" and not hasattr(view, method.lower()):
            raise MethodNotAllowed(method)
        needed: Scope | str | None = getattr(view, "scopes", {}).get(method)
        if needed == PUBLIC:
            return True
        if not isinstance(request.auth, ApiKey):
            raise NotAuthenticated("a valid key is needed")
        if not isinstance(needed, Scope):
            return False
        clients.require_scope(request.auth, needed)
        return True


def key_of(request: Request) -> ApiKey:
    """Return the key of a request that `HasScope` has let through for a scope."""
    if not isinstance(request.auth, ApiKey):
        raise NotAuthenticated("a valid key is needed")
    return request.auth
