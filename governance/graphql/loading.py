"""Reading the database under an event loop: on the request's own thread, and in batches.

Resolvers run in the loop, where Django refuses a query, so one that is written straight into a
resolver fails at once instead of quietly costing a query per row.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ParamSpec, TypeVar

from aiodataloader import DataLoader
from asgiref.sync import sync_to_async
from django.db.models import Model as Row
from django.db.models import QuerySet

from governance import models
from governance.selectors import registry, rules

P = ParamSpec("P")
R = TypeVar("R")
K = TypeVar("K")
V = TypeVar("V")
AnyRow = TypeVar("AnyRow", bound=Row)


def in_db(query: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """Await a query; it runs on the thread, and in the transaction, of the request."""
    return sync_to_async(query, thread_sensitive=True)


def batched(query: Callable[[list[K]], Mapping[K, V]]) -> "DataLoader[K, V]":
    """Return a loader, for one request, that asks ``query`` for many keys at once.

    Must be called inside the event loop. A key without an answer is an error: loaders follow
    references, which the database keeps whole.
    """

    async def load(keys: list[K]) -> list[V]:
        found = await in_db(query)(keys)
        return [found[key] for key in keys]

    return DataLoader(load)


def by_key(rows: Callable[[], QuerySet[AnyRow]]) -> "DataLoader[int, AnyRow]":
    """Return a loader of rows by primary key."""
    return batched(lambda keys: rows().in_bulk(keys))


class Loaders:
    """What one request looks up by reference, each kind in one query per level of the answer."""

    def __init__(self) -> None:
        self.storages = by_key(registry.storages)
        self.datasets = by_key(registry.datasets)
        self.purposes = by_key(rules.purposes)
        self.model_of_dataset = batched(_models_of)


def _models_of(datasets: list[int]) -> dict[int, models.Model | None]:
    found = registry.models().filter(dataset__in=datasets)
    of_dataset: dict[int, Any] = {each.dataset_id: each for each in found}
    return {key: of_dataset.get(key) for key in datasets}
