"""Many identifiers against one purpose: each is seen once, and one instant decides on all of them.

The gate's filter at every size. What is kept of an identifier are four bytes, the key of the
person that it stands for, until the last one has come: somebody who says "no" while a long list
is on its way is left out as well.
"""

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from consent import identifiers
from consent.rules import Standing, permitted
from consent.selectors import subjects
from consent.selectors.decisions import excluded_from
from consent.selectors.identifier_keys import Digests, steadily
from governance.errors import BodyTooLargeError
from governance.legal import LegalBasis
from governance.models import Purpose

MOST_ROWS = 1 << 25
CHUNK = 200_000

# Two keys that are nobody's. A person with the second, the four-billionth, would get a "no".
STRANGER = 0
NEVER = (1 << 32) - 1


class Filter:
    """Whose rows may be used for a purpose; nobody's without one.

    ``explicit`` says that a "yes" is needed whatever the legal ground.
    """

    def __init__(self, *, purpose: Purpose | None, scheme: str, explicit: bool) -> None:
        self._purpose = purpose
        self._scheme = identifiers.known_scheme(scheme)
        self._explicit = explicit
        # Nobody has heard of a stranger, who is permitted unless a "yes" is needed.
        self._strangers = purpose is not None and permitted(
            LegalBasis(purpose.legal_basis), Standing.NONE, explicit=explicit
        )
        self._people = BitMap()
        self._rows: list[NDArray[np.uint32]] = []
        self._count = 0

    def take(self, values: Sequence[str], rows: "NDArray[np.intp] | None" = None) -> None:
        """Take identifiers: of one row each, or those that ``rows`` point to; -1 is nobody.

        A row without an identifier belongs to nobody who could have been asked: its answer is
        "no". Raises `IdentifierMalformedError` and `BodyTooLargeError`.
        """
        if rows is not None:
            self._keep(np.append(self._keys(values), np.uint32(NEVER))[rows])
            return
        for start in range(0, len(values), CHUNK):
            self._keep(self._keys(values[start : start + CHUNK]))

    def answers(self, at: datetime) -> NDArray[np.bool_]:
        """Answer for each row, in order, as of an instant."""
        people = self._people - BitMap([STRANGER, NEVER])
        excluded = BitMap([NEVER] if self._strangers else [NEVER, STRANGER])
        if self._purpose is not None and people:
            excluded |= excluded_from(people, self._purpose, at, explicit=self._explicit)
        answers = np.empty(self._count, dtype=np.bool_)
        start = 0
        for keys in self._rows:
            stopped = np.array((excluded & BitMap(keys)).to_array(), dtype=np.uint32)
            answers[start : start + len(keys)] = np.isin(keys, stopped, invert=True)
            start += len(keys)
        return answers

    def _keep(self, keys: NDArray[np.uint32]) -> None:
        self._count += len(keys)
        if self._count > MOST_ROWS:
            raise BodyTooLargeError(f"there are more than {MOST_ROWS} rows", limit=MOST_ROWS)
        self._people |= BitMap(keys)
        self._rows.append(keys)

    def _keys(self, values: Sequence[str]) -> NDArray[np.uint32]:
        return steadily(lambda keys: self._found(keys.digests(self._scheme, values)))

    def _found(self, digests: Digests) -> NDArray[np.uint32]:
        if self._purpose is None:
            return np.full(len(digests), NEVER, dtype=np.uint32)
        keys = subjects.by_digests(self._scheme, digests).astype(np.uint32)
        if self._strangers:
            unknown = np.flatnonzero(keys == STRANGER)
            asked = digests.of(unknown)
            erased = subjects.buried(self._scheme, asked)
            gone = [digest in erased for digest in asked.newest]
            keys[unknown[np.array(gone, dtype=np.bool_)]] = NEVER
        return keys
