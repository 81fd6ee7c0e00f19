"""OpenLineage's two end points, as plain views: the hot path pays for nothing it does not use.

There is no trailing slash and never a redirect: the official clients turn one into an empty GET
and count it as success. Overload is 503 with Retry-After, because the asynchronous client drops
an event on 429.
"""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from governance.api.problems import problem
from governance.errors import ColophonError
from governance.gzipped import inflate
from governance.models import ApiKey, Scope
from governance.services.clients import KeysInHand, Writer
from governance.strictjson import loads
from lineage.services import sources
from lineage.services.inbox import NamespaceRefusedError, OverloadedError, Receipt, accept

RETRY_SECONDS = "2"
BATCH_EVENTS = 10_000

View = Callable[..., HttpResponse]

_keys = KeysInHand()


class BodyRefusedError(ColophonError):
    """The request's body is not what this end point takes."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code  # type: ignore[misc]  # an instance's own


def _guarded(view: Callable[..., HttpResponse]) -> View:
    """Turn every refusal into problem details."""

    @csrf_exempt
    def guarded(request: HttpRequest, **parts: UUID) -> HttpResponse:
        if request.method != "POST":
            return problem(405, "method_not_allowed", "send a POST", {"Allow": "POST"})
        try:
            return view(request, **parts)
        except OverloadedError as error:
            return problem(503, error.code, error.message, {"Retry-After": RETRY_SECONDS})
        except OperationalError:
            return problem(
                503, "database_unavailable", "the database does not answer: send it again",
                {"Retry-After": RETRY_SECONDS},
            )  # fmt: skip
        except UnreadablePostError:  # the sender has gone, and nobody may read this
            return problem(400, "body_unreadable", "the body broke off: send it again")
        except ColophonError as error:
            headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
            return problem(error.status, error.code, error.message, headers, **error.facts)

    return guarded


def _key(request: HttpRequest) -> ApiKey:
    scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
    key = _keys.authenticate(bearer.strip() if scheme.lower() == "bearer" else "")
    if Scope.LINEAGE_WRITE not in key.scopes:
        raise ScopeMissingError("this key lacks the scope lineage:write")
    return key


class ScopeMissingError(ColophonError):
    """The key is good, but not for this."""

    code = "scope_missing"
    status = 403


def _raw(request: HttpRequest, limit: int) -> bytes:
    """Read the body as sent, within a bound; nothing is trusted before it is measured."""
    if request.content_type != "application/json":
        raise BodyRefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "send application/json"
        )
    if _encoding(request) not in {"identity", "gzip"}:
        raise BodyRefusedError(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_encoding", "send it plain or as gzip"
        )
    raw = request.read(limit + 1)
    if len(raw) > limit:
        raise _too_large(limit)
    return raw


def _encoding(request: HttpRequest) -> str:
    return request.headers.get("Content-Encoding", "identity").strip().lower()


def _value(request: HttpRequest, raw: bytes, limit: int) -> Any:
    """Inflate and parse what was read."""
    return loads(inflate(raw, limit=limit) if _encoding(request) == "gzip" else raw)


def _body(request: HttpRequest, limit: int) -> Any:
    return _value(request, _raw(request, limit), limit)


def _too_large(limit: int) -> BodyRefusedError:
    return BodyRefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large",
        f"the body is larger than {limit} bytes: send less at a time",
    )  # fmt: skip


@_guarded
def one(request: HttpRequest) -> HttpResponse:
    """Take one event: 201 when it is new, 200 when it is a repeat, 422 when it is unusable."""
    key = _key(request)
    body = _body(request, settings.COLOPHON_EVENT_BYTES)
    if not isinstance(body, dict):
        raise BodyRefusedError(HTTPStatus.BAD_REQUEST, "not_an_event", "send one JSON object")
    return _take_one(key, body)


def _take_one(key: Writer, body: dict[str, Any]) -> HttpResponse:
    [receipt] = accept(key=key, events=[body])
    if receipt.code == NamespaceRefusedError.code:
        return problem(403, receipt.code, receipt.reason)
    if receipt.code:
        return problem(422, receipt.code, receipt.reason, dead_letter=str(receipt.uuid))
    status = HTTPStatus.CREATED if receipt.created else HTTPStatus.OK
    return JsonResponse({"id": str(receipt.uuid)}, status=status)


@_guarded
def batch(request: HttpRequest) -> HttpResponse:
    """Take a list of events: 204 when all are kept, else 200 with a result per failed event."""
    key = _key(request)
    body = _body(request, settings.COLOPHON_BATCH_BYTES)
    if not isinstance(body, list):
        raise BodyRefusedError(HTTPStatus.BAD_REQUEST, "not_a_batch", "send a JSON array of events")
    return _take_batch(key, body)


@_guarded
def signed(request: HttpRequest, source: UUID) -> HttpResponse:
    """Take one event or a list of them from a source that signs, by Standard Webhooks 1.0.

    The signature is over the body as sent, so before it is inflated.
    """
    raw = _raw(request, settings.COLOPHON_BATCH_BYTES)
    message_id = request.headers.get("webhook-id", "")
    sender = sources.recognise(
        source=source, message_id=message_id, body=raw,
        timestamp=request.headers.get("webhook-timestamp", ""),
        signature=request.headers.get("webhook-signature", ""),
    )  # fmt: skip
    body = _value(request, raw, settings.COLOPHON_BATCH_BYTES)
    if not isinstance(body, dict | list):
        raise BodyRefusedError(
            HTTPStatus.BAD_REQUEST, "not_an_event", "send a JSON object, or an array of them"
        )
    sources.remember(source=sender, message_id=message_id, body=raw)
    return _take_one(sender, body) if isinstance(body, dict) else _take_batch(sender, body)


def _take_batch(key: Writer, body: list[Any]) -> HttpResponse:
    if len(body) > BATCH_EVENTS:
        raise BodyRefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "batch_too_long",
            f"send at most {BATCH_EVENTS} events at a time",
        )  # fmt: skip
    receipts = accept(key=key, events=body)
    failed = [_failure(at, receipt) for at, receipt in enumerate(receipts) if receipt.code]
    if not failed:
        return HttpResponse(status=HTTPStatus.NO_CONTENT)
    return JsonResponse(
        {
            "status": "partial_success",
            "summary": {
                "received": len(receipts),
                "successful": len(receipts) - len(failed),
                "failed": len(failed),
                "retriable": 0,
                "non_retriable": len(failed),
            },
            "failed_events": failed,
        }
    )


def _failure(at: int, receipt: Receipt) -> dict[str, Any]:
    kept = {"dead_letter": str(receipt.uuid)} if receipt.uuid else {}
    return {
        "index": at, "reason": receipt.reason, "code": receipt.code, "retriable": False, **kept,
    }  # fmt: skip
