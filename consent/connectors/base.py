"""What every storage must be able to do, and every way in which it may refuse.

Pure Python on purpose: no Django, so a connector can be tried, measured and replaced on its own.
Nothing here looks beyond the place it is given: backups, replicas, object versions and a
database's own logs keep what they hold until their own retention ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeAlias

from governance.errors import ColophonError

JSON: TypeAlias = "bool | int | float | str | Sequence[JSON] | Mapping[str, JSON] | None"


@dataclass(frozen=True)
class Place:
    """Where a dataset lies: ``location`` within the storage at ``address``.

    ``subject_column`` names the column whose values, as text, identify people. ``options`` are what
    a kind lets its owner choose; each connector's module says which. ``step`` is the same in every
    attempt of the same work, so that the other side can recognise a repetition.
    """

    kind: str
    address: str = field(repr=False)  # may hold a password
    location: str
    subject_column: str
    options: Mapping[str, JSON] = field(default_factory=dict, repr=False)
    step: str = ""


@dataclass(frozen=True)
class Located:
    """How many rows the people have, and the files or the table (relative names) with them."""

    rows: int
    parts: tuple[str, ...]


@dataclass(frozen=True)
class Erased:
    """What an erasure took away, from where, and figures that can be published as proof."""

    rows: int
    parts: tuple[str, ...]
    evidence: Mapping[str, JSON]


class Connector(Protocol):
    """One kind of storage. Identifiers are compared as text: "007" is not 7, "Ann" is not "ann".

    Every call opens the storage anew and leaves nothing open. Each raises a ``ConnectorError``.
    """

    def members(self, place: Place) -> Iterator[list[str]]:
        """Stream the identifiers in batches, one per row, so with repeats; NULL is skipped."""

    def locate(self, place: Place, values: frozenset[str]) -> Located:
        """Count the rows of these people; changes nothing."""

    def rows(self, place: Place, values: frozenset[str]) -> Iterator[Mapping[str, JSON]]:
        """Stream the rows of these people and no other, whole, as ``plain`` writes them.

        Whoever can show none raises ``RowsNotReadError`` when called, whoever is asked for.
        """

    def erase(self, place: Place, values: frozenset[str]) -> Erased:
        """Delete the rows of these people and no other; doing it again erases nothing."""

    def verify(self, place: Place, values: frozenset[str]) -> int:
        """Count what is still there by reading the storage back, trusting no earlier answer."""


class ConnectorError(ColophonError):
    """The storage could not do it; the message says what to do next and names no person.

    ``retryable`` is whether the same call may succeed later with nobody doing anything.
    ``partial`` is what was erased before the failure, so that its evidence is not lost.
    """

    code = "storage_error"
    status = 409
    retryable: ClassVar[bool] = False
    partial: Erased | None = None


class StorageKindUnknownError(ConnectorError):
    """No connector is registered for this kind of storage."""

    code = "storage_kind_unknown"


class StorageUnreachableError(ConnectorError):
    """Nobody answers, or the connection broke."""

    code = "storage_unreachable"
    status = 503
    retryable = True


class StorageBusyError(ConnectorError):
    """Somebody else holds a lock, or changed the data meanwhile; nothing was done."""

    code = "storage_busy"
    status = 503
    retryable = True


class StorageReadOnlyError(ConnectorError):
    """We may not write there."""

    code = "storage_read_only"


class StorageRefusedError(ConnectorError):
    """A constraint or a trigger forbids it; other steps may remove what stands in the way."""

    code = "storage_refused"
    retryable = True


class StorageMissingError(ConnectorError):
    """The file or the table does not exist."""

    code = "storage_missing"


class StorageUnreadableError(ConnectorError):
    """It exists but cannot be understood, or not be rewritten without changing more."""

    code = "storage_unreadable"


class LocationEscapesStorageError(StorageUnreadableError):
    """The location leads out of the storage that it belongs to."""

    code = "location_escapes_storage"


class RowsNotReadError(ConnectorError):
    """Rows lie there, and only whoever keeps them can hand them out."""

    code = "rows_not_read"


class SubjectColumnMissingError(ConnectorError):
    """The table or the file has no such column (or, in a file, more than one)."""

    code = "subject_column_missing"
