"""What all producers share: the parts of an event."""

from collections.abc import Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from tests.factories.events import at

Json = dict[str, Any]

FACETS = "https://openlineage.io/spec/facets"


def run_id(*parts: object) -> str:
    """Return the run id of what the parts name, the same each time."""
    return str(uuid5(NAMESPACE_URL, "/".join(map(str, parts))))


class Producer:
    """Says of each facet and event who made it, as every integration does."""

    def __init__(self, url: str, *, schema: str = "2-0-2", zone: str = "Z") -> None:
        self.url, self.schema, self.zone = url, schema, zone

    def facet(self, kind: str, **said: Any) -> Json:
        """Return a facet; ``kind`` is its version and class, as in its schema's address."""
        url = f"{FACETS}/{kind}.json#/$defs/{kind.rsplit('/', 1)[-1]}"
        return {"_producer": self.url, "_schemaURL": url, **said}

    def own(self, **said: Any) -> Json:
        """Return a facet that the specification does not know."""
        url = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunFacet"
        return {"_producer": self.url, "_schemaURL": url, **said}

    def event(
        self,
        kind: str,
        minutes: float,
        *,
        job: tuple[str, str],
        run: str,
        job_facets: Json | None = None,
        run_facets: Json | None = None,
        reads: Sequence[Json] = (),
        writes: Sequence[Json] = (),
    ) -> Json:
        """Return a run event at some minutes after noon."""
        return {
            "eventTime": at(minutes).isoformat().replace("+00:00", self.zone),
            "eventType": kind,
            "producer": self.url,
            "schemaURL": f"https://openlineage.io/spec/{self.schema}/OpenLineage.json"
            "#/$defs/RunEvent",
            "run": {"runId": run, "facets": run_facets or {}},
            "job": {"namespace": job[0], "name": job[1], "facets": job_facets or {}},
            "inputs": list(reads),
            "outputs": list(writes),
        }

    def parent(self, job: tuple[str, str], run: str, root: tuple[str, str, str] | None) -> Json:
        """Return a parent facet, with the root where the producer knows it."""
        said: Json = {
            "job": {"namespace": job[0], "name": job[1]},
            "run": {"runId": run},
        }
        if root is not None:
            said["root"] = {
                "job": {"namespace": root[0], "name": root[1]},
                "run": {"runId": root[2]},
            }
        return self.facet("1-1-0/ParentRunFacet", **said)

    def job_type(self, processing: str, integration: str, kind: str, **more: Any) -> Json:
        """Return a jobType facet."""
        return self.facet(
            "2-0-3/JobTypeJobFacet",
            processingType=processing,
            integration=integration,
            jobType=kind,
            **more,
        )


def ref(name: tuple[str, str], facets: Json | None = None, **own: Json) -> Json:
    """Return a data set; ``own`` are its inputFacets or outputFacets."""
    return {"namespace": name[0], "name": name[1], "facets": facets or {}, **own}
