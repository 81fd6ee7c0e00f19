"""An auditor who asks over HTTP, as far as one process can: request in, response out."""

import json
from typing import Any

from django.db import connection
from django.http import HttpResponse
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext

from deploy.graphql import AuditorsView
from tests.factories.governance import issued_key

view = AuditorsView.as_view()


class Auditor:
    """A client with one key."""

    def __init__(self, name: str = "auditor", scopes: tuple[str, ...] = ("audit:read",)) -> None:
        self.bearer = issued_key(*scopes, client_name=name)

    def send(
        self, body: Any, *, method: str = "post", path: str = "/graphql", **extra: Any
    ) -> HttpResponse:
        """Send a body, as JSON unless it is bytes."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        extra = {"HTTP_AUTHORIZATION": f"Bearer {self.bearer}"} | extra
        kind = extra.pop("content_type", "application/json")
        return view(RequestFactory().generic(method.upper(), path, raw, kind, **extra))

    def answer(self, query: str, **variables: Any) -> dict[str, Any]:
        """Ask, and return the whole answer whatever it says."""
        return json.loads(self.send({"query": query, "variables": variables}).content)

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask something that is answered without errors."""
        answer = self.answer(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def codes(self, query: str, **variables: Any) -> list[str]:
        """Ask something that is refused, and return the codes."""
        return [each["extensions"]["code"] for each in self.answer(query, **variables)["errors"]]

    def queries(self, query: str, **variables: Any) -> list[str]:
        """Ask, and return the SQL that was needed."""
        with CaptureQueriesContext(connection) as captured:
            self.ask(query, **variables)
        return [each["sql"] for each in captured.captured_queries]
