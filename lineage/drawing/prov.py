"""A lineage graph as W3C PROV-JSON (member submission of 24 April 2013).

Data sets, models and fields are entities; jobs and runs are activities. A job that nothing flowed
through is only a design, hence a ``prov:Plan``, which PROV counts among entities.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from urllib.parse import quote

from lineage.graphs import Edge, Graph, Node, NodeKind

Json = dict[str, object]

PREFIX = "colophon"
MEDIA_TYPE = "application/json"  # PROV-JSON has no registered media type of its own
# Letters and digits only: PROV-N lets more stand unescaped in a local name, but not everywhere.
_UNESCAPED = "_-"
_AGENT = f"{PREFIX}:service"
_ACTIVITIES = (NodeKind.JOB, NodeKind.RUN)


def prov_json(graph: Graph, *, base: str) -> Json:
    """Return a graph as one PROV-JSON document with one bundle, the same for the same graph.

    ``base`` is the address that our identifiers are relative to. Edges to nodes outside the graph
    are left out, for a relation may only name what is declared. Whether the walk was cut is an
    attribute of the bundle, which the service as an agent is the source of.
    """
    nodes = sorted(graph.nodes, key=lambda node: node.key)
    names = {node.key: identifier(node) for node in nodes}
    edges = sorted((e for e in graph.edges if {e.source, e.target} <= names.keys()), key=_order)
    busy = {key for edge in edges for key in (edge.source, edge.target)}
    plans = {n.key for n in nodes if n.kind is NodeKind.JOB and n.key not in busy}
    active = {n.key for n in nodes if n.kind in _ACTIVITIES} - plans
    told = {key: _declared(nodes, names, keys, plans) for key, keys in _by_sort(names, active)}
    bundle: Json = {key: value for key, value in told.items() if value}
    bundle |= _relations(edges, names, active)
    name = f"{PREFIX}:graph"
    return {
        "prefix": _prefixes(base),
        "entity": {
            name: {"prov:type": _name("prov:Bundle"), f"{PREFIX}:truncated": graph.truncated}
        },
        "agent": {_AGENT: {"prov:type": _name("prov:SoftwareAgent"), "prov:label": "Colophon"}},
        "wasAttributedTo": {"_:a1": {"prov:entity": name, "prov:agent": _AGENT}},
        "bundle": {name: {"prefix": _prefixes(base), **bundle}},
    }


def identifier(node: Node) -> str:
    """Return a node's qualified name: its kind and its uuid, or its key where it has none.

    What a local name of PROV-N cannot carry is percent-encoded, so different keys stay different.
    """
    local = f"key-{node.key}" if node.uuid is None else str(node.uuid)
    return f"{PREFIX}:{node.kind}-{_encoded(local)}"


def _encoded(text: str) -> str:
    # A lone surrogate is no character; it is kept apart from others all the same.
    encoded = quote(text, safe=_UNESCAPED, errors="surrogatepass")
    return encoded.replace(".", "%2E").replace("~", "%7E")


def _prefixes(base: str) -> dict[str, str]:
    return {PREFIX: f"{base.rstrip('/')}/prov#"}


def _name(qualified: str) -> Json:
    return {"$": qualified, "type": "prov:QUALIFIED_NAME"}


def _by_sort(names: Iterable[str], active: set[str]) -> list[tuple[str, set[str]]]:
    return [("entity", set(names) - active), ("activity", active)]


def _declared(
    nodes: Iterable[Node], names: dict[str, str], keys: set[str], plans: set[str]
) -> Json:
    """Return the declarations of the nodes with these keys; nodes of one uuid are declared once."""
    declared: Json = {}
    for node in nodes:
        if node.key not in keys:
            continue
        about: Json = {
            "prov:label": node.name,
            "prov:type": _name("prov:Plan" if node.key in plans else f"{PREFIX}:{node.kind}"),
            f"{PREFIX}:namespace": node.namespace,
        }
        if node.note:
            about[f"{PREFIX}:note"] = node.note
        declared.setdefault(names[node.key], about)
    return declared


def _relations(edges: Iterable[Edge], names: dict[str, str], active: set[str]) -> Json:
    """Return the relations by sort; each points against the flow, as PROV's do."""
    found: dict[str, dict[str, Json]] = defaultdict(dict)
    for edge in edges:
        source, target = names[edge.source], names[edge.target]
        match edge.source in active, edge.target in active:
            case False, True:
                sort, ends = "used", {"prov:activity": target, "prov:entity": source}
            case True, False:
                sort, ends = "wasGeneratedBy", {"prov:entity": target, "prov:activity": source}
            case True, True:
                sort, ends = "wasInformedBy", {"prov:informed": target, "prov:informant": source}
            case _:
                sort = "wasDerivedFrom"
                ends = {"prov:generatedEntity": target, "prov:usedEntity": source}
        about = _about(edge, timed=sort in ("used", "wasGeneratedBy"))
        found[sort][f"_:{sort}{len(found[sort]) + 1}"] = {**ends, **about}
    return {sort: found[sort] for sort in sorted(found)}


def _about(edge: Edge, *, timed: bool) -> Json:
    """Return an edge's attributes; only uses and generations have a time of PROV's own."""
    about: Json = {}
    if timed and edge.first_at:
        about["prov:time"] = _instant(edge.first_at)
    for name, at in (("firstAt", edge.first_at), ("lastAt", edge.last_at)):
        if at:
            about[f"{PREFIX}:{name}"] = {"$": _instant(at), "type": "xsd:dateTime"}
    if edge.label:
        about["prov:label"] = edge.label
    if edge.masked:
        about[f"{PREFIX}:masked"] = True
    return about


def _instant(at: datetime) -> str:
    """Return an xsd:dateTime in UTC; an instant without a zone is taken to be in UTC."""
    return (at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def _order(edge: Edge) -> tuple[object, ...]:
    times = (_instant(at) if at else "" for at in (edge.first_at, edge.last_at))
    return (edge.source, edge.target, edge.label, edge.masked, *times)
