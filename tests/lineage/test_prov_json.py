"""Lineage as W3C PROV-JSON: exact, complete in itself, and the same for the same graph."""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from lineage.drawing.prov import prov_json
from lineage.graphs import Edge, Graph, Node, NodeKind

BASE = "https://colophon.example/"
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
PREFIX = {"colophon": "https://colophon.example/prov#"}
RELATIONS = ("used", "wasGeneratedBy", "wasDerivedFrom", "wasInformedBy")

texts = st.text(max_size=12)
nodes = st.lists(
    st.builds(Node, key=texts, kind=st.sampled_from(NodeKind), namespace=texts, name=texts),
    unique_by=lambda node: node.key,
    max_size=12,
)


@st.composite
def graphs(draws) -> Graph:
    found = draws(nodes)
    keys = st.sampled_from([node.key for node in found] + ["no such key"])
    edges = draws(
        st.lists(st.builds(Edge, source=keys, target=keys, label=texts, masked=st.booleans()))
    )
    return Graph(tuple(found), tuple(edges), draws(st.booleans()))


def named(qualified: str) -> dict[str, str]:
    return {"$": qualified, "type": "prov:QUALIFIED_NAME"}


def test_a_small_graph_is_exactly_this_document():
    nodes = (
        Node("d1", NodeKind.DATASET, "s3://x", "people", uuid=UUID(int=1), note="proven"),
        Node("d2", NodeKind.DATASET, "s3://x", "clean"),
        Node("j/1", NodeKind.JOB, "airflow", "scrub"),
        Node("idle", NodeKind.JOB, "airflow", "idle"),
    )
    cet = NOON.astimezone(timezone(timedelta(hours=1)))
    edges = (
        Edge("j/1", "d2", first_at=NOON),
        Edge("d1", "j/1", "read", masked=True, first_at=cet, last_at=NOON),
        Edge("d1", "d2"),
        Edge("d1", "elsewhere"),
    )
    at = {"$": "2026-01-02T12:00:00+00:00", "type": "xsd:dateTime"}
    d1, d2 = f"colophon:dataset-{UUID(int=1)}", "colophon:dataset-key-d2"
    job = "colophon:job-key-j%2F1"
    assert prov_json(Graph(nodes, edges, truncated=True), base=BASE) == {
        "prefix": PREFIX,
        "entity": {
            "colophon:graph": {"prov:type": named("prov:Bundle"), "colophon:truncated": True}
        },
        "agent": {
            "colophon:service": {
                "prov:type": named("prov:SoftwareAgent"),
                "prov:label": "Colophon",
            }
        },
        "wasAttributedTo": {
            "_:a1": {"prov:entity": "colophon:graph", "prov:agent": "colophon:service"}
        },
        "bundle": {
            "colophon:graph": {
                "prefix": PREFIX,
                "entity": {
                    d1: {
                        "prov:label": "people",
                        "prov:type": named("colophon:dataset"),
                        "colophon:namespace": "s3://x",
                        "colophon:note": "proven",
                    },
                    d2: {
                        "prov:label": "clean",
                        "prov:type": named("colophon:dataset"),
                        "colophon:namespace": "s3://x",
                    },
                    "colophon:job-key-idle": {
                        "prov:label": "idle",
                        "prov:type": named("prov:Plan"),
                        "colophon:namespace": "airflow",
                    },
                },
                "activity": {
                    job: {
                        "prov:label": "scrub",
                        "prov:type": named("colophon:job"),
                        "colophon:namespace": "airflow",
                    }
                },
                "used": {
                    "_:used1": {
                        "prov:activity": job,
                        "prov:entity": d1,
                        "prov:time": "2026-01-02T12:00:00+00:00",
                        "colophon:firstAt": at,
                        "colophon:lastAt": at,
                        "prov:label": "read",
                        "colophon:masked": True,
                    }
                },
                "wasDerivedFrom": {
                    "_:wasDerivedFrom1": {"prov:generatedEntity": d2, "prov:usedEntity": d1}
                },
                "wasGeneratedBy": {
                    "_:wasGeneratedBy1": {
                        "prov:entity": d2,
                        "prov:activity": job,
                        "prov:time": "2026-01-02T12:00:00+00:00",
                        "colophon:firstAt": at,
                    }
                },
            }
        },
    }


@given(graphs())
def test_every_relation_names_what_is_declared_as_what_it_is(graph):
    bundle = prov_json(graph, base=BASE)["bundle"]["colophon:graph"]
    entities, activities = bundle.get("entity", {}), bundle.get("activity", {})
    assert len(entities) + len(activities) == len(graph.nodes)
    assert not entities.keys() & activities.keys()
    ends = {
        "prov:entity": entities, "prov:activity": activities, "prov:generatedEntity": entities,
        "prov:usedEntity": entities, "prov:informed": activities, "prov:informant": activities,
    }  # fmt: skip
    relations = [each for sort in RELATIONS for each in bundle.get(sort, {}).values()]
    for each in relations:
        named_in = [(ends[role], name) for role, name in each.items() if role in ends]
        assert len(named_in) == 2
        assert all(name in declared for declared, name in named_in)
    keys = {node.key for node in graph.nodes}
    assert len(relations) == sum({e.source, e.target} <= keys for e in graph.edges)


@given(graphs())
def test_identifiers_are_plain_qualified_names(graph):
    bundle = prov_json(graph, base=BASE)["bundle"]["colophon:graph"]
    for name in [*bundle.get("entity", {}), *bundle.get("activity", {})]:
        assert re.fullmatch(r"colophon:[a-z]+-key-([A-Za-z0-9_-]|%[0-9A-F]{2})*", name)


@given(graphs(), st.randoms())
def test_the_order_of_nodes_and_edges_does_not_change_the_document(graph, chance):
    nodes, edges = list(graph.nodes), list(graph.edges)
    chance.shuffle(nodes)
    chance.shuffle(edges)
    other = Graph(tuple(nodes), tuple(edges), graph.truncated)
    assert json.dumps(prov_json(other, base=BASE)) == json.dumps(prov_json(graph, base=BASE))
