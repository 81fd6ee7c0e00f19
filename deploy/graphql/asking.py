"""From the bytes of a request to a question that may be answered, and is on record."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rfc8785
from django.db import Error, transaction
from django.http import HttpRequest
from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    OperationType,
    get_operation_ast,
    parse,
    validate,
)
from graphql.validation import specified_rules

from deploy.graphql.limits import limits
from governance.errors import BodyTooLargeError, ColophonError
from governance.models import ApiKey, Scope
from governance.services import ledger
from governance.services.clients import authenticate, require_scope
from governance.strictjson import loads

BODY_BYTES = 32 * 1024
TOKENS = 1_500
COMMENTS = 50
ERRORS = 5
MEMBERS = {"query", "variables", "operationName", "extensions"}


class RequestUnusableError(ColophonError):
    """The request is not one JSON object with a query, sent as this end point takes it."""

    code = "request_unusable"
    status = 400


class MediaTypeError(ColophonError):
    """Only plain JSON is taken."""

    code = "unsupported_media_type"
    status = 415


class NotOnRecordError(ColophonError):
    """The question could not be recorded, so it is not answered."""

    code = "question_not_recorded"
    status = 503


class InvalidDocumentError(Exception):
    """The document cannot be executed; ``errors`` say why, about nothing but the document."""

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        super().__init__()
        self.errors = [_about_the_document(each) for each in errors]


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, as it was sent."""

    query: str
    variables: dict[str, Any]
    operation: str | None


def auditor(request: HttpRequest) -> ApiKey:
    """Return the key that asks, or raise what says why it may not."""
    scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
    key = authenticate(credentials.strip() if scheme.lower() == "bearer" else "")
    require_scope(key, Scope.AUDIT_READ)
    return key


def question_in(request: HttpRequest) -> Question:
    """Read the question; everything that could be read in two ways is refused."""
    if request.META.get("QUERY_STRING"):
        raise RequestUnusableError("the address takes no query string: put all into the body")
    body = loads(_body(request))
    if not isinstance(body, dict) or not body.keys() <= MEMBERS:
        raise RequestUnusableError("send one object with query, variables and operationName")
    query, operation = body.get("query"), body.get("operationName")
    variables = {} if body.get("variables") is None else body["variables"]
    if not isinstance(query, str) or not query.strip():
        raise RequestUnusableError("query is a text that holds a GraphQL document")
    if not isinstance(variables, dict):
        raise RequestUnusableError("variables is an object")
    if operation is not None and not isinstance(operation, str):
        raise RequestUnusableError("operationName is a text")
    return Question(query, variables, operation)


def document_of(question: Question, schema: GraphQLSchema) -> DocumentNode:
    """Return the document once it is known to be valid, bounded and a query.

    Raises `InvalidDocumentError`.
    """
    try:
        document = parse(
            question.query,
            max_lexical_tokens=TOKENS,
            max_comments=COMMENTS,
            max_source_length=BODY_BYTES,
        )
    except GraphQLError as error:
        raise InvalidDocumentError([error]) from None
    rules = [*specified_rules, limits(question.variables)]
    if errors := validate(schema, document, rules, max_errors=ERRORS):
        raise InvalidDocumentError(errors)
    operation = get_operation_ast(document, question.operation)
    if operation is None or operation.operation is not OperationType.QUERY:
        raise InvalidDocumentError([GraphQLError("the document has no query of this name")])
    return document


def put_on_record(question: Question, key: ApiKey) -> None:
    """Record that a question is asked, before it is answered, in a transaction of its own.

    The record holds digests and neither the document nor the variables: these can name people.
    Raises `NotOnRecordError`.
    """
    facts = {
        "client": key.client.name,
        "document_sha256": hashlib.sha256(question.query.encode()).hexdigest(),
        "operation": question.operation,
        "variables_sha256": _digest(question.variables),
    }
    try:
        with transaction.atomic(durable=True):
            ledger.append(kind="audit.question", facts=facts)
    except Error:
        raise NotOnRecordError("the question could not be recorded: ask again later") from None


def _about_the_document(error: GraphQLError) -> GraphQLError:
    """Leave out what a scalar raised when it could not read its value: that is no failure here."""
    if error.original_error is None or isinstance(error.original_error, ColophonError):
        return error
    return GraphQLError(error.message, error.nodes, error.source, error.positions)


def _digest(variables: Mapping[str, Any]) -> str:
    try:
        return hashlib.sha256(rfc8785.dumps(dict(variables))).hexdigest()
    except rfc8785.CanonicalizationError:
        raise RequestUnusableError("a variable is a number out of range") from None


def _body(request: HttpRequest) -> bytes:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if request.content_type != "application/json" or encoding != "identity":
        raise MediaTypeError("send application/json, not compressed")
    body = request.read(BODY_BYTES + 1)
    if len(body) > BODY_BYTES:
        raise BodyTooLargeError(f"the body is larger than {BODY_BYTES} bytes", limit=BODY_BYTES)
    return bytes(body)
