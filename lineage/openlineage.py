"""OpenLineage events as values (core specification 2-0-2), read leniently and refused precisely.

Pure. An event is told apart by its structure, not by its ``schemaURL``: a ``run`` makes a run
event, a ``dataset`` a dataset event, a ``job`` alone a job event. ``schemaURL`` is never fetched.
Facets stay raw here; how each is kept is decided where they are written.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import Any, ClassVar

from governance.errors import ColophonError

Json = dict[str, Any]
RunName = tuple[str, str, str]
"""A job's namespace and name, and a run id."""

# A key of PostgreSQL's index holds 2,704 bytes; a namespace and a name share one.
NAME_BYTES = 1200
FACET_NAME_CHARACTERS = 500
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
FUTURE = timedelta(hours=24)

# ISO 8601 as producers really write it: `Z` or an offset or neither, up to nanoseconds.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d(?::\d\d)?)(?:[.,](\d{1,9}))?\s*([Zz]|[+-]\d\d:?\d\d)?"
)

# The lifecycle changes after which nothing of the earlier content is left.
REPLACING = ("CREATE", "OVERWRITE", "TRUNCATE", "DROP")

_QUOTED = re.compile(r'"[^"]+"(\."[^"]+")*')
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")

# What a run says of its own use of a data set, and not of the data set itself.
OWN_USE = frozenset({"version", "lifecycleStateChange", "lineage"})


class UnusableEventError(ColophonError):
    """The JSON is well-formed and the event cannot be understood."""

    code: ClassVar[str] = "event_unusable"
    status: ClassVar[int] = 422


class RunState(IntEnum):
    """How far a run is; where two end at the same instant the graver word stands."""

    HEARD_OF = 0
    RUNNING = 1
    COMPLETE = 2
    ABORT = 3
    FAIL = 4

    @property
    def terminal(self) -> bool:
        """Say whether nothing can re-open the run."""
        return self >= RunState.COMPLETE

    def weight(self, at: datetime) -> tuple[bool, bool, datetime, int]:
        """Return what decides between two states: an end, then a start, then the later."""
        return self.terminal, self > RunState.HEARD_OF, at, int(self)


_STATE_OF_TYPE = {
    "START": RunState.RUNNING,
    "RUNNING": RunState.RUNNING,
    "COMPLETE": RunState.COMPLETE,
    "ABORT": RunState.ABORT,
    "FAIL": RunState.FAIL,
    "OTHER": RunState.HEARD_OF,
}


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """A data set as one event speaks of it."""

    namespace: str
    name: str
    facets: Mapping[str, Json]
    own_facets: Mapping[str, Json] = field(default_factory=dict)  # inputFacets or outputFacets

    @property
    def key(self) -> tuple[str, str]:
        """Return the identity, ``(namespace, name)``."""
        return self.namespace, self.name

    @property
    def declared_version(self) -> str:
        """Return the ``version`` facet's value, or its digest where it is long, or nothing."""
        declared = _text_in(self.facets, "version", "datasetVersion")
        if len(declared.encode()) <= NAME_BYTES:
            return declared
        return f"sha256:{hashlib.sha256(declared.encode()).hexdigest()}"

    @property
    def lifecycle(self) -> str:
        """Return the ``lifecycleStateChange`` facet's value in capitals, or nothing."""
        return _text_in(self.facets, "lifecycleStateChange", "lifecycleStateChange").upper()

    def other_names(self) -> Iterable[tuple[str, str]]:
        """Yield what else it is called: symlinks, the name before a rename, and without quotes.

        Some producers quote the names of what they read and not of what they write.
        """
        if _QUOTED.fullmatch(self.name):
            yield self.namespace, self.name[1:-1].replace('"."', ".")
        listed = self.facets.get("symlinks", {}).get("identifiers")
        said = list(listed) if isinstance(listed, list) else []
        if self.lifecycle == "RENAME":
            said.append(self.facets["lifecycleStateChange"].get("previousIdentifier"))
        for each in said:
            name = _other_name(each)
            if name is not None and name != self.key:
                yield name

    @property
    def is_model(self) -> bool:
        """Say whether the ``datasetType`` facet calls it a model."""
        return _text_in(self.facets, "datasetType", "datasetType").upper() == "MODEL"


@dataclass(frozen=True, slots=True)
class Event:
    """One event. ``run_id`` is empty for job and dataset events, ``job`` for dataset events."""

    at: datetime
    run_id: str = ""
    state: RunState = RunState.HEARD_OF
    job: tuple[str, str] | None = None
    run_facets: Mapping[str, Json] = field(default_factory=dict)
    job_facets: Mapping[str, Json] = field(default_factory=dict)
    inputs: tuple[DatasetRef, ...] = ()
    outputs: tuple[DatasetRef, ...] = ()
    dataset: DatasetRef | None = None

    @property
    def namespace(self) -> str:
        """Return the namespace that a key must be allowed to write to."""
        if self.job is not None:
            return self.job[0]
        return self.dataset.namespace if self.dataset is not None else ""

    def relatives(self) -> tuple["RunName | None", "RunName | None"]:
        """Return the parent run and the root run that the ``parent`` facet names."""
        # Producers of before 2020 call it parentRun.
        facet = self.run_facets.get("parent") or self.run_facets.get("parentRun") or {}
        root = facet.get("root")
        return _run_name(facet), _run_name(root if isinstance(root, dict) else {})

    def datasets(self) -> Iterable[DatasetRef]:
        """Yield every data set that the event speaks of."""
        yield from self.inputs
        yield from self.outputs
        if self.dataset is not None:
            yield self.dataset


def parse(raw: object, *, now: datetime) -> Event:
    """Read one event, or raise `UnusableEventError` with one sentence that says what is wrong."""
    body = _object(raw, "the event")
    at = parse_time(body.get("eventTime"))
    if at > now + FUTURE:
        raise UnusableEventError("eventTime lies more than a day in the future")
    if body.get("run") is not None:
        return _run_event(body, at)
    if body.get("dataset") is not None:
        return Event(at=at, dataset=_dataset(body["dataset"], "dataset"))
    if body.get("job") is not None:
        name, facets = _job(body["job"])
        return Event(
            at=at, job=name, job_facets=facets,
            inputs=_datasets(body, "inputs"), outputs=_datasets(body, "outputs"),
        )  # fmt: skip
    raise UnusableEventError("the event has neither a run, nor a job, nor a dataset")


def parse_time(value: object) -> datetime:
    """Read an instant; without a zone it is UTC, and nanoseconds are cut to microseconds."""
    match = _TIME.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise UnusableEventError("eventTime is not an ISO 8601 date and time")
    day, clock, fraction, zone = match.groups()
    zone = "+00:00" if zone is None or zone in "Zz" else zone
    clock = clock if clock.count(":") == 2 else f"{clock}:00"
    try:
        at = datetime.fromisoformat(f"{day}T{clock}.{(fraction or '0')[:6]:0<6}{zone}")
        at = at.astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnusableEventError("eventTime is not a date and time that exists") from None
    if at < EARLIEST:
        raise UnusableEventError("eventTime lies before 1970")
    return at


def _run_event(body: Json, at: datetime) -> Event:
    run = _object(body["run"], "run")
    kind = body.get("eventType")
    if kind is not None and not isinstance(kind, str):
        raise UnusableEventError("eventType is not a text")
    if body.get("job") is None:
        raise UnusableEventError("a run event needs a job")
    job, job_facets = _job(body["job"])
    return Event(
        at=at,
        run_id=_run_id(_name(run.get("runId"), "run.runId")),
        state=_STATE_OF_TYPE.get((kind or "OTHER").upper(), RunState.HEARD_OF),
        job=job,
        run_facets=_facets(run.get("facets")),
        job_facets=job_facets,
        inputs=_datasets(body, "inputs"),
        outputs=_datasets(body, "outputs"),
    )


def _job(raw: object) -> tuple[tuple[str, str], dict[str, Json]]:
    job = _object(raw, "job")
    name = _name(job.get("namespace"), "job.namespace"), _name(job.get("name"), "job.name")
    return name, _facets(job.get("facets"))


def _datasets(body: Json, key: str) -> tuple[DatasetRef, ...]:
    listed = body.get(key)
    if listed is None:
        return ()
    if not isinstance(listed, list):
        raise UnusableEventError(f"{key} is not a list")
    return tuple(_dataset(each, f"{key}[{at}]") for at, each in enumerate(listed))


def _dataset(raw: object, where: str) -> DatasetRef:
    body = _object(raw, where)
    return DatasetRef(
        _name(body.get("namespace"), f"{where}.namespace"),
        _name(body.get("name"), f"{where}.name"),
        _facets(body.get("facets")),
        {**_facets(body.get("inputFacets")), **_facets(body.get("outputFacets"))},
    )


def _facets(raw: object) -> dict[str, Json]:
    """Return the facets; one that is not an object, or has a giant's name, is passed over."""
    if not isinstance(raw, dict):
        return {}
    return {
        name: value
        for name, value in raw.items()
        if isinstance(value, dict) and len(name) <= FACET_NAME_CHARACTERS
    }


def _run_name(facet: Json) -> RunName | None:
    run, job = facet.get("run"), facet.get("job")
    name = _other_name(job)
    run_id = run.get("runId") if isinstance(run, dict) else None
    if name is None or not isinstance(run_id, str) or not run_id.strip():
        return None
    return (*name, _run_id(run_id)) if len(run_id.encode()) <= NAME_BYTES else None


def _run_id(text: str) -> str:
    """Write a UUID in small letters, as it means the same; any other id stays as it is."""
    return text.lower() if _UUID.fullmatch(text) else text


def _other_name(raw: object) -> tuple[str, str] | None:
    if not isinstance(raw, dict):
        return None
    parts = raw.get("namespace"), raw.get("name")
    usable = all(
        isinstance(part, str) and part.strip() and len(part.encode()) <= NAME_BYTES
        for part in parts
    )
    return (str(parts[0]), str(parts[1])) if usable else None


def _text_in(facets: Mapping[str, Json], facet: str, key: str) -> str:
    value = facets.get(facet, {}).get(key)
    return value if isinstance(value, str) else ""


def _object(raw: object, where: str) -> Json:
    if not isinstance(raw, dict):
        raise UnusableEventError(f"{where} is not an object")
    return raw


def _name(raw: object, where: str) -> str:
    if not isinstance(raw, str) or not raw.strip():
        raise UnusableEventError(f"{where} is missing or not a text")
    if len(raw.encode()) > NAME_BYTES:
        raise UnusableEventError(f"{where} is longer than {NAME_BYTES} bytes")
    return raw
