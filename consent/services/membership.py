"""Taking manifests: who is in which version of a data set.

A manifest is all or nothing. Its people are digested on the way into a temporary table, so that
no clear identifier reaches the database and no lock is held while the sender is slow; what
follows is a handful of statements over sets.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from django.db import connection, transaction
from pyroaring import BitMap

from consent import identifiers, manifests
from consent.manifests import Body, Form
from consent.models import Manifest, SubjectIdentifier, Unweighed
from consent.selectors import membership as known
from consent.selectors.identifier_keys import Keys, current
from consent.selectors.membership import Timeline
from consent.services import staging
from consent.services.stays import Stays
from consent.services.subjects import hold_people
from governance.errors import ColophonError
from governance.models import ApiClient, Dataset
from governance.services import ledger
from lineage.models import DatasetVersion

KEYS_A_QUERY = 100_000


class ManifestOutOfOrderError(ColophonError):
    """A later version has a manifest already; who left in between cannot be told any more."""

    code = "manifest_out_of_order"
    status = 409


class SubjectColumnMissingError(ColophonError):
    """Neither the caller nor the data set says which column names the person."""

    code = "subject_column_missing"
    status = 422


class SubjectSchemeMissingError(ColophonError):
    """Neither the caller nor the data set says in which scheme the people are named."""

    code = "subject_scheme_missing"
    status = 422


@dataclass(frozen=True, slots=True)
class Loaded:
    """A manifest, and whether it had been taken before."""

    manifest: Manifest
    repeated: bool


@dataclass(frozen=True, slots=True)
class Named:
    """How many rows were staged, how many people they name, and by which versions of the key."""

    rows: int
    people: int
    keys: Keys


@transaction.atomic
def load(
    *,
    dataset: Dataset,
    version: DatasetVersion,
    mode: Manifest.Mode,
    form: Form,
    body: Body,
    column: str = "",
    scheme: str = "",
    client: ApiClient | None = None,
) -> Loaded:
    """Take a manifest for one version; the same one again is a success that changes nothing.

    Unless something that could contradict it was said in between: then it is a new word.
    People who are not known yet become subjects without a key. Those who were erased become
    no members: they are kept as reappearances. ``add`` may come late; what it says holds until
    the next thing that is known of the person. Raises the errors of this module and of
    `consent.manifests`, and `IdentifierMalformedError`.
    """
    column, scheme = _column(dataset, form, column), _scheme(dataset, scheme)
    key = current().oldest
    digests = staging.digested(manifests.named(form, body, column=column), scheme, key)
    named = hold(staging.stage(digests, key), dataset, scheme)
    return settle(
        named, dataset=dataset, version=version, mode=mode, scheme=scheme, column=column,
        digest=body.digest, client=client,
    )  # fmt: skip


def hold(staged: staging.Staged, dataset: Dataset, scheme: str) -> Named:
    """Name who was staged, and let nobody move people in a data set until the transaction ends.

    Nor is anybody forgotten, or another version of the key introduced.
    """
    hold_people(shared=True)
    keys = current()
    Dataset.objects.select_for_update(no_key=True).get(pk=dataset.pk)
    return Named(staged.rows, staging.name(staged, keys, scheme), keys)


def settle(
    named: Named,
    *,
    dataset: Dataset,
    version: DatasetVersion,
    mode: Manifest.Mode,
    scheme: str,
    column: str,
    digest: bytes,
    client: ApiClient | None,
) -> Loaded:
    """Take those who are named as the manifest of a version; ``digest`` names its content."""
    same = Manifest.objects.filter(
        version=version, mode=mode, scheme=scheme, column=column, digest=digest
    )
    before = same.order_by("pk").last()
    if before is not None and _still_holds(before):
        return Loaded(before, repeated=True)
    _refuse_disorder(version, mode)
    manifest = Manifest.objects.create(
        dataset=dataset, version=version, mode=mode, scheme=scheme, column=column, digest=digest,
        rows=named.rows, people=named.people, received_from=client,
    )  # fmt: skip
    _take(manifest, named.keys)
    Unweighed.objects.create(manifest=manifest)
    _into_ledger(manifest)
    return Loaded(manifest, repeated=False)


def misses_somebody(*, dataset: Dataset, version: DatasetVersion, scheme: str) -> bool:
    """Say whether somebody is known to be in a version whom nobody named just now."""
    present = Stays(dataset.pk, version.pk, known.timeline(version)).present()
    return bool(_known_by(scheme, present - _listed()))


def _column(dataset: Dataset, form: Form, column: str) -> str:
    chosen = column or (manifests.NDJSON_KEY if form is Form.NDJSON else dataset.subject_column)
    if not chosen:
        raise SubjectColumnMissingError("which column names the person is not known")
    return chosen


def _scheme(dataset: Dataset, scheme: str) -> str:
    chosen = scheme or dataset.subject_scheme
    if not chosen:
        raise SubjectSchemeMissingError("in which scheme the people are named is not known")
    return identifiers.known_scheme(chosen)


def _still_holds(manifest: Manifest) -> bool:
    """Say whether nothing has happened since that could contradict the list; it is staged again.

    Lists that only add cannot undo each other, nor lists that only remove. Somebody named who was
    forgotten meanwhile is no member any more: the list then says that the data has come back.
    """
    later = Manifest.objects.filter(version=manifest.version, pk__gt=manifest.pk)
    if manifest.mode != Manifest.Mode.REPLACE:
        later = later.exclude(mode=manifest.mode)
    if later.exists():
        return False
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT 1 FROM consent_tombstone t"
            "  JOIN consent_named n ON n.digest = t.digest"
            " WHERE t.scheme = %s AND t.erased_at > %s)",
            [manifest.scheme, manifest.received_at],
        )
        return not cursor.fetchone()[0]


def _refuse_disorder(version: DatasetVersion, mode: Manifest.Mode) -> None:
    if mode == Manifest.Mode.ADD:
        return
    later = known.timeline(version).later
    if Manifest.objects.filter(version_id__in=later).exists():
        raise ManifestOutOfOrderError("a manifest of a later version was taken already")


def _take(manifest: Manifest, keys: Keys) -> None:
    around = known.timeline(manifest.version)
    places: dict[str, Any] = {
        "dataset": manifest.dataset_id, "manifest": manifest.pk, "scheme": manifest.scheme,
        "at": manifest.received_at, "until": _next_complete(around), "key_version": keys.newest,
    }  # fmt: skip
    comes = manifest.mode != Manifest.Mode.REMOVE
    with connection.cursor() as cursor:
        for step in _MEET if comes else ():
            cursor.execute(step.format(fresh=staging.fresh(keys)), places)
    stays = Stays(manifest.dataset_id, manifest.version_id, around)
    listed = _listed()
    if manifest.mode == Manifest.Mode.REMOVE:
        stays.leave(listed)
    elif manifest.mode == Manifest.Mode.REPLACE:
        stays.leave(_known_by(manifest.scheme, stays.present() - listed))
    if comes:
        stays.enter(listed, until=places["until"])
    stays.write()
    with connection.cursor() as cursor:
        if manifest.mode != Manifest.Mode.ADD:
            cursor.execute(_SEEN_OUT.format(un="NOT" if comes else ""), places)
        for step in (_SEEN_ANEW, _SEEN_AGAIN) if comes else ():
            cursor.execute(step.format(unknown=staging.unknown(keys)), places)


def _listed() -> BitMap:
    """Return who is on the list, of those who are known; as one value, since rows cost a call."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT string_agg(int8send(subject_id), ''::bytea) FROM consent_known")
        keys = bytes(cursor.fetchone()[0] or b"")
    return BitMap(np.frombuffer(keys, dtype=">i8").astype(np.uint32))


def _known_by(scheme: str, people: BitMap) -> BitMap:
    """Return those of some people who could have been named in a scheme.

    Only who could have been named leaves by not being named: somebody known in another scheme
    alone may be on the list under a name that we cannot see through.
    """
    found, everybody = BitMap(), list(people)
    for start in range(0, len(everybody), KEYS_A_QUERY):
        some = SubjectIdentifier.objects.filter(
            scheme=scheme, subject_id__in=everybody[start : start + KEYS_A_QUERY]
        )
        found |= BitMap(some.values_list("subject_id", flat=True))
    return found


def _next_complete(around: Timeline) -> int | None:
    """Return the first later version whose people are known completely, if there is one."""
    complete = known.manifested(around.later)
    return next((each for each in around.later if each in complete), None)


def _into_ledger(manifest: Manifest) -> None:
    ledger.append(
        kind="manifest.taken",
        facts={
            "manifest": str(manifest.uuid), "dataset": str(manifest.dataset.uuid),
            "version": str(manifest.version.uuid), "mode": str(manifest.mode),
            "scheme": manifest.scheme, "digest": bytes(manifest.digest).hex(),
            "rows": manifest.rows, "people": manifest.people,
        },
    )  # fmt: skip


# Whoever is neither known nor erased becomes a person without a key. Ids are taken for those
# alone, so they stay dense; rows go in by digest, so two manifests never wait on each other in
# a ring. Who was written down by another transaction meanwhile keeps that row, and ours goes.
_MEET = (
    """
    CREATE TEMP TABLE consent_fresh ON COMMIT DROP AS
    SELECT digest, nextval(pg_get_serial_sequence('consent_subject', 'id')) AS id
      FROM (SELECT n.digest FROM consent_named n
             WHERE {fresh}
             ORDER BY n.digest) AS unknown
    """,
    "INSERT INTO consent_subject (id) SELECT id FROM consent_fresh ORDER BY id",
    """
    INSERT INTO consent_subjectidentifier (subject_id, scheme, digest, key_version)
    SELECT id, %(scheme)s, digest, %(key_version)s FROM consent_fresh ORDER BY digest
    ON CONFLICT DO NOTHING
    """,
    """
    DELETE FROM consent_subject s USING consent_fresh f
     WHERE s.id = f.id
       AND NOT EXISTS (SELECT 1 FROM consent_subjectidentifier i WHERE i.subject_id = f.id)
    """,
    """
    INSERT INTO consent_known (digest, subject_id)
    SELECT f.digest, i.subject_id FROM consent_fresh f
      JOIN consent_subjectidentifier i ON i.digest = f.digest AND i.scheme = %(scheme)s
    """,
)

# An erasure that has begun to read may have passed by what this list speaks of.
_SEEN_ANEW = """
    UPDATE consent_reappearance r SET ended_at = %(at)s
      FROM consent_tombstone t JOIN consent_named n ON n.digest = t.digest
     WHERE t.scheme = %(scheme)s AND r.tombstone_id = t.id AND r.dataset_id = %(dataset)s
       AND r.ended_at IS NULL AND r.looked_for_at IS NOT NULL AND %(until)s::bigint IS NULL
"""

_SEEN_AGAIN = """
    INSERT INTO consent_reappearance (dataset_id, tombstone_id, manifest_id, ended_at)
    SELECT %(dataset)s, t.id, %(manifest)s,
           CASE WHEN %(until)s::bigint IS NOT NULL THEN %(at)s::timestamptz END
      FROM consent_named n
      JOIN consent_tombstone t ON t.digest = n.digest AND t.scheme = %(scheme)s
     WHERE {unknown}
    ON CONFLICT DO NOTHING
"""

_SEEN_OUT = """
    UPDATE consent_reappearance r SET ended_at = %(at)s
      FROM consent_tombstone t
     WHERE r.dataset_id = %(dataset)s AND r.ended_at IS NULL AND t.id = r.tombstone_id
       AND t.scheme = %(scheme)s
       AND {un} EXISTS (SELECT 1 FROM consent_named n WHERE n.digest = t.digest)
"""
