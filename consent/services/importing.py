"""Taking over decisions from elsewhere, row by row: what is wrong is told, the rest is recorded.

A file can be taken over again, whole or mended: what was recorded is recognised by its key, which
follows from the row where it brings none.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC
from itertools import islice
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from consent.decision_rows import Line, Row
from consent.models import DecisionImport, NoticeVersion
from consent.rules import DecisionSource
from consent.selectors import notices
from consent.selectors.identifier_keys import digests_at
from consent.services import decisions, subjects
from governance.crypto import keyed_digest
from governance.errors import ColophonError
from governance.keys import secret_for
from governance.models import Purpose
from governance.selectors import rules
from governance.services import ledger

TOGETHER = 200


class EvidenceMissingError(ColophonError):
    """Nobody could check a decision that comes from nowhere."""

    code = "evidence_missing"
    status = 422


@dataclass(frozen=True, slots=True)
class Refused:
    """A row that was not taken over: its line, a stable code, a sentence; none of its content."""

    line: int
    code: str
    message: str


@dataclass(slots=True)
class _Known:
    """What rows name again and again, looked up once."""

    purposes: dict[str, Purpose] = field(default_factory=dict)
    texts: dict[UUID, NoticeVersion] = field(default_factory=dict)

    def purpose(self, key: str) -> Purpose:
        if key not in self.purposes:
            self.purposes[key] = rules.purpose(key)
        return self.purposes[key]

    def text(self, uuid: UUID | None) -> NoticeVersion | None:
        if uuid is not None and uuid not in self.texts:
            self.texts[uuid] = notices.version(uuid)
        return None if uuid is None else self.texts[uuid]


def take_over(
    lines: Iterable[Line],
    *,
    digest: bytes,
    evidence: str,
    refuse: Callable[[Refused], None],
    progress: Callable[[int], None] = lambda _: None,
) -> DecisionImport:
    """Record the decisions of a file, a few hundred in a transaction.

    ``digest`` names the file's content, ``evidence`` says where the decisions come from.
    ``refuse`` is given every row that is not taken over, ``progress`` how many rows each step
    dealt with. Raises `EvidenceMissingError`.
    """
    if not evidence.strip():
        raise EvidenceMissingError("say where the decisions come from, so that it can be checked")
    made, _ = DecisionImport.objects.get_or_create(digest=digest, defaults={"evidence": evidence})
    made.recorded = made.repeated = made.refused = 0
    known, rest = _Known(), iter(lines)
    while some := list(islice(rest, TOGETHER)):
        with transaction.atomic():
            for line in some:
                _take(line, made, known, refuse)
        progress(len(some))
    with transaction.atomic():
        made.finished_at = timezone.now()
        made.save()
        ledger.append(kind="decisions.imported", facts=_facts(made))
    return made


def _take(
    line: Line, made: DecisionImport, known: _Known, refuse: Callable[[Refused], None]
) -> None:
    try:
        if line.row is None:
            raise line.error or AssertionError("a line says something or is wrong")
        with transaction.atomic():
            replayed = _recorded(line.row, made, known)
    except ColophonError as error:
        made.refused += 1
        refuse(Refused(line.number, error.code, error.message))
    else:
        made.repeated += replayed
        made.recorded += not replayed


def _recorded(row: Row, made: DecisionImport, known: _Known) -> bool:
    subject = subjects.register(identifiers=[(row.scheme, row.identifier)]).subject
    recorded = decisions.record(
        subject=subject,
        purpose=known.purpose(row.purpose),
        kind=row.kind,
        decided_at=row.decided_at,
        key=row.key or _key_of(row),
        source=DecisionSource.IMPORT,
        notice_version=known.text(row.notice_version),
        valid_until=row.valid_until,
        imported_by=made,
    )
    return recorded.replayed


def _key_of(row: Row) -> UUID:
    """Return a key that is the same whenever this row comes; keyed, so it tells nothing of it.

    The first version of the identifier key serves here for good: a later one would make another
    key of the same row.
    """
    [digest] = digests_at(1, row.scheme, [row.identifier])
    said = [
        digest.hex(), row.purpose, row.kind.value,
        row.decided_at.astimezone(UTC).isoformat(),
    ]  # fmt: skip
    return UUID(bytes=keyed_digest(secret_for("import-row-v1"), "\0".join(said).encode())[:16])


def _facts(made: DecisionImport) -> dict[str, str | int]:
    return {
        "import": str(made.uuid), "digest": bytes(made.digest).hex(), "evidence": made.evidence,
        "recorded": made.recorded, "repeated": made.repeated, "refused": made.refused,
    }  # fmt: skip
