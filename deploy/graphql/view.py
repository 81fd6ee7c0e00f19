"""The view: one question per request, answered inside one transaction that is always undone.

Built on graphene-django's, of which it keeps how answers are put together. What that view would
also take, and this one refuses: GET, forms, batches, a query in the address, GraphiQL.
"""
# mypy: allow-subclassing-any

from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from asgiref.sync import async_to_sync
from django.db import InterfaceError, OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from graphene_django.views import GraphQLView
from graphql import DocumentNode, ExecutionResult, GraphQLError, execute

from deploy.graphql import asking, errors
from governance.api.problems import RETRY_SECONDS, problem
from governance.errors import ColophonError
from governance.graphql import Loaders as GovernanceLoaders
from governance.models import ApiClient, ApiKey
from lineage.graphql import Loaders as LineageLoaders

SECONDS = 5
RETRY = {"Retry-After": str(RETRY_SECONDS)}


@dataclass(frozen=True, slots=True)
class Context:
    """What resolvers know of the request: who asks, and the loaders of each app."""

    client: ApiClient
    governance: GovernanceLoaders = field(default_factory=GovernanceLoaders)
    lineage: LineageLoaders = field(default_factory=LineageLoaders)


@method_decorator([csrf_exempt, never_cache], name="dispatch")
class AuditorsView(GraphQLView):
    """POST /graphql, with a key of scope ``audit:read``. Without cookies there is no CSRF."""

    def dispatch(self, request: HttpRequest, *_args: Any, **_kwargs: Any) -> HttpResponse:
        """Authenticate, then read, then check, then record, then answer."""
        if request.method != "POST":
            return problem(405, "method_not_allowed", "send a POST", {"Allow": "POST"})
        try:
            key = asking.auditor(request)
            question = asking.question_in(request)
            body, status = self.get_response(request, {"question": question, "key": key})
        except ColophonError as error:
            headers = RETRY if error.status == 503 else {}
            return problem(error.status, error.code, error.message, headers, **error.facts)
        except (OperationalError, InterfaceError):
            return problem(
                503, "database_unavailable", "the database is busy or away; try again", RETRY
            )
        return HttpResponse(body, status=status, content_type="application/json")

    @staticmethod
    def get_graphql_params(_request: HttpRequest, data: Any) -> Any:
        """Return what was asked; nothing comes from the address."""
        question: asking.Question = data["question"]
        return question.query, question.variables, question.operation, None

    def execute_graphql_request(
        self, _request: HttpRequest, data: Any, *_args: Any, **_kwargs: Any
    ) -> ExecutionResult:
        """Answer a question, once it is on record; a bad document never gets that far."""
        question: asking.Question = data["question"]
        try:
            document = asking.document_of(question, self.schema.graphql_schema)
        except asking.InvalidDocumentError as invalid:
            return ExecutionResult(data=None, errors=invalid.errors)
        asking.put_on_record(question, data["key"])
        return self._answer(document, question, data["key"])

    def _answer(
        self, document: DocumentNode, question: asking.Question, key: ApiKey
    ) -> ExecutionResult:
        """Execute in a transaction that is rolled back, so that nothing a question does stays."""

        async def answer() -> ExecutionResult:
            result = execute(
                self.schema.graphql_schema,
                document,
                context_value=Context(key.client),
                variable_values=question.variables,
                operation_name=question.operation,
            )
            return await result if isawaitable(result) else result

        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = %s", [f"{SECONDS}s"])
            result = async_to_sync(answer)()
            transaction.set_rollback(True)
        return result

    @staticmethod
    def format_error(error: GraphQLError) -> dict[str, Any]:
        """Show an error without what it must not tell."""
        return errors.shown(error)
