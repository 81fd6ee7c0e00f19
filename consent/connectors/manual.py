"""A storage that no program reaches: paper, a partner's system, a laptop. A person does it.

Nothing is claimed for it, not even that nobody is there: each call raises, so the step stays open
and is named until somebody settles it and says what was done.
"""

from collections.abc import Iterator, Mapping
from typing import NoReturn

from consent.connectors.base import (
    JSON,
    Connector,
    ConnectorError,
    Erased,
    Located,
    Place,
    RowsNotReadError,
)


class PersonNeededError(ConnectorError):
    """Only a person can do it; trying again by itself would change nothing."""

    code = "person_needed"


class ManualConnector(Connector):
    """See the module; the location says where to look, the option ``checklist`` what to do."""

    def members(self, place: Place) -> Iterator[list[str]]:
        """Raise: who is in it cannot be read."""
        _ask(place)

    def locate(self, place: Place, values: frozenset[str]) -> Located:
        """Raise: only a person can look."""
        _ask(place)

    def rows(self, place: Place, values: frozenset[str]) -> Iterator[Mapping[str, JSON]]:
        """Raise: only a person can copy."""
        raise RowsNotReadError(f"Ask whoever keeps {place.location} to copy the person's records.")

    def erase(self, place: Place, values: frozenset[str]) -> Erased:
        """Raise: only a person can erase."""
        _ask(place)

    def verify(self, place: Place, values: frozenset[str]) -> int:
        """Raise: only a person can look again."""
        _ask(place)


def _ask(place: Place) -> NoReturn:
    steps = place.options.get("checklist", ())
    items = [each for each in steps if isinstance(each, str)] if isinstance(steps, list) else []
    todo = "; ".join(["erase the person's records", *items, "look again that none is left"])
    raise PersonNeededError(
        f"In {place.location}, by hand: {todo}. Then settle the step and say what was done."
    )
