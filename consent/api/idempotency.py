"""The key by which a repeat is told from a second request."""

from uuid import UUID

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request

from governance.errors import ColophonError

HEADER = "Idempotency-Key"

keyed = extend_schema(
    parameters=[
        OpenApiParameter(
            HEADER, OpenApiTypes.UUID, OpenApiParameter.HEADER, required=True,
            description="The same key and facts again return the first outcome.",
        )
    ]
)  # fmt: skip


class IdempotencyKeyMissingError(ColophonError):
    """Without a key, nobody could tell a repeat from a second decision."""

    code = "idempotency_key_missing"
    status = 400


class IdempotencyKeyMalformedError(ColophonError):
    """The key is a UUID, quoted or not."""

    code = "idempotency_key_malformed"
    status = 400


def key_of(request: Request) -> UUID:
    """Return the request's idempotency key, or raise what is wrong with it."""
    said = request.headers.get(HEADER, "").strip()
    if not said:
        raise IdempotencyKeyMissingError("send an Idempotency-Key: a UUID of your making")
    try:
        return UUID(said.strip('"'))
    except ValueError:
        raise IdempotencyKeyMalformedError("the Idempotency-Key is not a UUID") from None
