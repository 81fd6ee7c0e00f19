"""By which keys identifiers are digested now, and how to look while that changes.

Version 1 digests an identifier, and each further one the digest of the one before. While rows are
being moved up, a person is known by the newest version or by the one before it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from consent import identifiers
from consent.identifiers import IdentifierMalformedError
from consent.models import IdentifierKey, SubjectIdentifier, Tombstone
from governance.keys import secret_for

T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Digests:
    """What identifiers are known by: each by the newest version and, if need be, the one before.

    ``before`` is empty unless a rotation is under way; else it goes along with ``newest``.
    """

    newest: Sequence[bytes]
    before: Sequence[bytes] = ()

    def __len__(self) -> int:
        return len(self.newest)

    @property
    def all(self) -> list[bytes]:
        """Everything to look for; the place modulo the length says which identifier it is."""
        return [*self.newest, *self.before]

    def of(self, places: Iterable[int]) -> "Digests":
        """Return those at some places, in order."""
        at = list(places)
        kept = [self.newest[n] for n in at]
        return Digests(kept, [self.before[n] for n in at] if self.before else ())


@dataclass(frozen=True, slots=True)
class Keys:
    """The newest version, and whether rows of the one before may be left."""

    newest: int = 1
    under_way: bool = False

    @property
    def oldest(self) -> int:
        """The oldest version of which there may be rows."""
        return self.newest - self.under_way

    def digests(self, scheme: str, values: Iterable[str]) -> Digests:
        """Digest identifiers as they are kept, or raise `IdentifierMalformedError`."""
        return self.known_by(digests_at(self.oldest, scheme, values))

    def known_by(self, oldest: Sequence[bytes]) -> Digests:
        """Return by what identifiers are known, of which there are the oldest digests."""
        if not self.under_way:
            return Digests(oldest)
        return Digests(moved_up(oldest, self.oldest, self.newest), oldest)


def current() -> Keys:
    """Return the versions in use; another can be introduced the moment after.

    Whoever writes rows is refused then, by a trigger; whoever only looks does so `steadily`.
    """
    newest = IdentifierKey.objects.order_by("-version").values_list("version", "moved_at").first()
    return Keys() if newest is None else Keys(newest[0], under_way=newest[1] is None)


def left() -> int:
    """Return how many rows there are by an older key than the newest."""
    newest = current().newest
    people = SubjectIdentifier.objects.filter(key_version__lt=newest)
    return people.count() + Tombstone.objects.filter(key_version__lt=newest).count()


def steadily(look: Callable[[Keys], T]) -> T:
    """Return what ``look`` finds by the versions in use, and look again if one was introduced.

    No row is of a version that is introduced after the look has ended. So if the newest is the
    same before and after, every row was of it or of the one before all the time, and none escaped
    by being moved up between one statement and the next.
    """
    keys = current()
    while True:
        found, now = look(keys), current()
        if now.newest == keys.newest:
            return found
        keys = now


def digests_at(version: int, scheme: str, values: Iterable[str]) -> Sequence[bytes]:
    """Return each identifier's digest by one version, or raise `IdentifierMalformedError`."""
    return moved_up(identifiers.digests(_key(1), scheme, values), 1, version)


def usable_digests(version: int, scheme: str, values: Sequence[str]) -> Sequence[bytes | None]:
    """Return the same, and nothing in the place of what can identify nobody."""
    try:
        return digests_at(version, scheme, values)
    except IdentifierMalformedError:
        if len(values) == 1:
            return [None]
        return [each for value in values for each in usable_digests(version, scheme, [value])]


def moved_up(digests: Sequence[bytes], version: int, to: int) -> Sequence[bytes]:
    """Return, by a newer version, what an older one made."""
    for each in range(version + 1, to + 1):
        digests = identifiers.laid_over(_key(each), digests)
    return digests


def _key(version: int) -> bytes:
    return secret_for(f"identifier-digest-v{version}")
