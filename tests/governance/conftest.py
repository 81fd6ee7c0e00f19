from collections.abc import Callable

import pytest
from django.db import transaction
from rest_framework.test import APIClient

from governance.models import LedgerRecord
from governance.services import ledger
from tests.factories.governance import issued_key


@pytest.fixture
def anyone() -> APIClient:
    return APIClient()


@pytest.fixture
def caller(db) -> Callable[..., APIClient]:
    """Make a client with a key of the given scopes."""

    def make(*scopes: str, namespaces: tuple[str, ...] = ()) -> APIClient:
        client = APIClient()
        bearer = issued_key(*scopes, namespaces=namespaces)
        client.credentials(HTTP_AUTHORIZATION=f"Bearer {bearer}")
        return client

    return make


@pytest.fixture
def recorded(db) -> Callable[[], list[str]]:
    """Return the kinds recorded since the last question."""
    seen = 0

    def kinds() -> list[str]:
        nonlocal seen
        found = list(LedgerRecord.objects.order_by("pk").values_list("kind", flat=True))
        new, seen = found[seen:], len(found)
        return new

    return kinds


@pytest.fixture
def grow() -> Callable[[int], list]:
    """Append and number so many leaves; return their records' names."""

    def append(count: int) -> list:
        with transaction.atomic():
            made = ledger.append_many(
                [ledger.Happening(kind="test.happened", facts={"n": n}) for n in range(count)]
            )
        while ledger.sequence():
            pass
        return made

    return append
