"""Tell the ledger what happened to a request, and hold a request while something happens to it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

from consent.models import RequestRecord, RightsRequest
from consent.selectors import requests as known
from governance.errors import ColophonError
from governance.services import ledger
from governance.strictjson import JSON


class RequestJoinedError(ColophonError):
    """It was joined to an earlier request; what is decided there counts for both."""

    code: ClassVar[str] = "request_joined"
    status: ClassVar[int] = 409


class RequestEndedError(ColophonError):
    """It is complete, or refused: nothing can happen to it any more."""

    code: ClassVar[str] = "request_ended"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that happened to a request. The facts name no person, so they stay readable."""

    request: RightsRequest
    kind: str
    facts: Mapping[str, JSON]


def record(request: RightsRequest, kind: str, facts: Mapping[str, JSON]) -> None:
    """Tell the ledger, last in a transaction, and remember which record tells it."""
    record_many([Told(request, kind, facts)])


def record_many(told: Iterable[Told]) -> None:
    """Tell the ledger of many things at once, in their order."""
    told = list(told)
    records = ledger.append_many(
        [
            ledger.Happening(
                kind=each.kind, facts={"request": str(each.request.uuid), **each.facts}
            )
            for each in told
        ]
    )
    RequestRecord.objects.bulk_create(
        RequestRecord(request=each.request, record=record, kind=each.kind)
        for each, record in zip(told, records, strict=True)
    )


def held(request: RightsRequest) -> RightsRequest:
    """Return a request as it is now, and let nobody else change it until the transaction ends."""
    return RightsRequest.objects.select_for_update(no_key=True).get(pk=request.pk)


def held_open(request: RightsRequest) -> RightsRequest:
    """Hold a request that has not ended. Raises `RequestJoinedError` and `RequestEndedError`."""
    found = held(request)
    if found.duplicate_of is not None:
        first = str(found.duplicate_of.uuid)
        raise RequestJoinedError("decide about the request that it was joined to", first=first)
    if known.standing_of(found).state in known.ENDED:
        raise RequestEndedError("the request is complete or refused")
    return found
