"""Who a person is to us: by identifier, by digest, and back under the person's own key."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import connection
from django.db.models import Exists, OuterRef, QuerySet

from consent import identifiers
from consent.models import Subject, SubjectIdentifier, SubjectKey, Tombstone
from governance.crypto import SealingKey
from governance.errors import ColophonError, NotFoundError
from governance.keys import secret_for, subject_wrapping_key


class SubjectErasedError(ColophonError):
    """The person was erased: the key is gone, and what was sealed under it with it."""

    code = "subject_erased"
    status = 410


class SubjectUnregisteredError(ColophonError):
    """The person is known from a manifest only and has no key: register first."""

    code = "subject_unregistered"
    status = 409


def get(uuid: UUID) -> Subject:
    """Return a person by public name, or raise `NotFoundError`."""
    try:
        return Subject.objects.get(uuid=uuid)
    except Subject.DoesNotExist:
        raise NotFoundError("no such person is known") from None


def by_identifier(scheme: str, value: str) -> Subject | None:
    """Return the person with this identifier; nobody if it is unknown or was erased."""
    return Subject.objects.filter(
        identifiers__scheme=scheme, identifiers__digest=digest_of(scheme, value)
    ).first()


def by_digests(scheme: str, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Return the key of each person that one of the digests stands for."""
    if not digests:
        return {}
    with connection.cursor() as cursor:
        # One value with all of them: a parameter each would cost more than finding them.
        cursor.execute(
            """
            SELECT asked.n, i.subject_id
              FROM (SELECT n, substring(%(all)s::bytea from n * 32 + 1 for 32) AS digest
                      FROM generate_series(0, %(count)s - 1) AS n) AS asked
              JOIN consent_subjectidentifier i
                ON i.digest = asked.digest AND i.scheme = %(scheme)s
            """,
            {"all": b"".join(digests), "count": len(digests), "scheme": scheme},
        )
        return {digests[n]: subject for n, subject in cursor.fetchall()}


def buried(scheme: str, digests: Sequence[bytes]) -> dict[bytes, int]:
    """Return the tombstone of each digest that was erased and not registered again."""
    again = SubjectIdentifier.objects.filter(scheme=OuterRef("scheme"), digest=OuterRef("digest"))
    found = Tombstone.objects.filter(~Exists(again), scheme=scheme, digest__in=digests)
    return {bytes(digest): pk for digest, pk in found.values_list("digest", "pk")}


def digest_of(scheme: str, value: str) -> bytes:
    """Return what an identifier is known by, or raise `IdentifierMalformedError`."""
    return identifiers.digest(digest_key(), scheme, value)


def digest_key() -> bytes:
    """Return the key of all identifier digests."""
    return secret_for("identifier-digest-v1")


def key_of(subject: Subject) -> SealingKey:
    """Return the person's own key; it is never made here.

    Raises `SubjectErasedError` or `SubjectUnregisteredError`.
    """
    wrapped = SubjectKey.objects.filter(subject=subject).values_list("wrapped", flat=True).first()
    if wrapped is not None:
        return SealingKey(subject_wrapping_key().open(bytes(wrapped), key_place(subject)))
    if Subject.objects.filter(pk=subject.pk, erased_at__isnull=False).exists():
        raise SubjectErasedError("the person was erased", subject=str(subject.uuid))
    raise SubjectUnregisteredError("the person is not registered", subject=str(subject.uuid))


def clear_identifiers(subject: Subject) -> list[tuple[str, str]]:
    """Return the identifiers that are known in clear, as (scheme, value), or raise as `key_of`."""
    key = key_of(subject)
    kept = subject.identifiers.filter(value_sealed__isnull=False).order_by("scheme", "pk")
    return [
        (row.scheme, key.open(bytes(row.value_sealed or b""), value_place(subject, row)).decode())
        for row in kept
    ]


def schemes_of(rows: Collection[int]) -> tuple[frozenset[str], bool]:
    """Return the schemes by which the person of some rows is known or was, and whether erased."""
    known = Subject.objects.filter(pk__in=rows).values_list("erased_schemes", "identifiers__scheme")
    schemes: set[str] = set()
    gone = False
    for before, scheme in known:
        schemes.update(before or (), (scheme,) if scheme else ())
        gone |= before is not None
    return frozenset(schemes), gone


def erased(people: Collection[int] | None = None) -> "QuerySet[Subject]":
    """Return those who were erased, of some people or of all."""
    found = Subject.objects.filter(erased_at__isnull=False)
    return found if people is None else found.filter(pk__in=list(people))


def key_place(subject: Subject) -> str:
    """Return the place that a wrapped key is bound to."""
    return f"consent_subjectkey/{subject.uuid}"


def value_place(subject: Subject, row: SubjectIdentifier) -> str:
    """Return the place that a sealed identifier is bound to."""
    return f"consent_subjectidentifier/{subject.uuid}/{row.scheme}/{bytes(row.digest).hex()}"
