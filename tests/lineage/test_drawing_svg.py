"""Pictures of lineage: nothing overlaps or escapes; the same graph is the same picture."""

import random
import re
from time import perf_counter
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lineage.drawing import style, words
from lineage.drawing.svg import draw
from lineage.graphs import Edge, Graph, Node, NodeKind

SVG = "{http://www.w3.org/2000/svg}"
Area = tuple[float, float, float, float]


def graph_of(count: int, links: list[tuple[int, int]], seed: int = 0) -> Graph:
    chance, kinds = random.Random(seed), list(NodeKind)
    nodes = tuple(
        Node(f"n{i:03}", chance.choice(kinds), "ns" * chance.randint(0, 20), f"name {i}" * (i % 7))
        for i in range(count)
    )
    edges = tuple(
        Edge(f"n{a:03}", f"n{b:03}", chance.choice(["", "join", "w" * 60]), chance.random() < 0.2)
        for a, b in links
    )
    return Graph(nodes, edges)


@st.composite
def graphs(draws, most: int = 200) -> Graph:
    count = draws(st.integers(0, most))
    chance = random.Random(draws(st.integers(0, 10**6)))
    many = draws(st.integers(0, 2 * count))
    links = [(chance.randrange(count), chance.randrange(count)) for _ in range(many)]
    return graph_of(count, links, chance.randrange(10**6))


def areas(picture: str) -> list[Area]:
    """Return the extents of the boxes of nodes; the legend's stand in groups that are moved."""
    found = []
    drawing = ElementTree.fromstring(picture).find(f"{SVG}g")
    assert drawing is not None
    for group in drawing.findall(f"{SVG}g"):
        rect, polygon = group.find(f"{SVG}rect"), group.find(f"{SVG}polygon")
        if rect is not None:
            x, y, w, h = (float(rect.attrib[name]) for name in ("x", "y", "width", "height"))
            found.append((x, y, x + w, y + h))
        elif polygon is not None:
            points = [tuple(map(float, p.split(","))) for p in polygon.attrib["points"].split()]
            xs, ys = [p[0] for p in points], [p[1] for p in points]
            found.append((min(xs), min(ys), max(xs), max(ys)))
    return found


def overlaps(found: list[Area]) -> list[tuple[Area, Area]]:
    return [
        (a, b)
        for i, a in enumerate(found)
        for b in found[:i]
        if a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
    ]


def ends_of_lines(picture: str) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    drawing = ElementTree.fromstring(picture).find(f"{SVG}g")
    assert drawing is not None
    numbers = [
        [float(n) for n in re.findall(r"-?[\d.]+", path.attrib["d"])]
        for path in drawing.findall(f"{SVG}path")
    ]
    return [(tuple(each[:2]), tuple(each[-2:])) for each in numbers]


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@settings(max_examples=60, deadline=None)
@given(graphs(), st.sampled_from(["right", "down"]))
def test_no_box_lies_on_another_and_all_lie_on_the_page(graph, direction):
    picture = draw(graph, title="any", direction=direction)
    found = areas(picture)
    assert len(found) == len(graph.nodes)
    assert overlaps(found) == []
    root = ElementTree.fromstring(picture)
    wide, high = float(root.attrib["width"]), float(root.attrib["height"])
    assert root.attrib["viewBox"] == f"0 0 {root.attrib['width']} {root.attrib['height']}"
    assert all(a[0] >= 0 and a[2] <= wide - 48 and a[1] >= 0 and a[3] <= high - 62 for a in found)


@settings(max_examples=40, deadline=None)
@given(graphs(40), st.sampled_from(["right", "down"]))
def test_every_line_starts_and_ends_at_a_box(graph, direction):
    picture = draw(graph, title="any", direction=direction)
    found = areas(picture)
    lines = ends_of_lines(picture)
    assert len(lines) == len(graph.edges)
    for point in (point for line in lines for point in line):
        x, y = point
        # A pill's or hexagon's border lies a little inside the rectangle round it.
        near = [a for a in found if a[0] - 1 <= x <= a[2] + 1 and a[1] - 1 <= y <= a[3] + 1]
        assert any(min(x - a[0], a[2] - x, y - a[1], a[3] - y) < 20 for a in near)


@settings(max_examples=30, deadline=None)
@given(graphs(60), st.randoms())
def test_the_order_of_nodes_and_edges_does_not_change_one_byte(graph, chance):
    nodes, edges = list(graph.nodes), list(graph.edges)
    chance.shuffle(nodes)
    chance.shuffle(edges)
    random.seed(chance.random())  # igraph would draw from here
    assert draw(Graph(tuple(nodes), tuple(edges)), title="t") == draw(graph, title="t")


def test_a_chain_goes_to_the_right_or_down():
    chain = graph_of(3, [(0, 1), (1, 2)])
    right, down = areas(draw(chain, title="t")), areas(draw(chain, title="t", direction="down"))
    assert right[0][2] < right[1][0]
    assert right[1][2] < right[2][0]
    assert down[0][3] < down[1][1]
    assert down[1][3] < down[2][1]


def test_loops_are_drawn_and_every_edge_has_its_line():
    looped = graph_of(4, [(0, 1), (1, 2), (2, 0), (3, 3), (1, 0), (1, 0)])
    assert draw(looped, title="t").count('class="edge') - looped_keys(looped) == 6


def looped_keys(graph: Graph) -> int:
    """Return how many lines the legend has: one, if anything is masked."""
    return int(any(edge.masked for edge in graph.edges))


HOSTILE = [
    "<script>alert(1)</script>", "]]><!--", '"&\'', "a\x00b\x08c\x1f", "\ud800 alone", "\uffff",
    "👩‍👩‍👧‍👦 👍🏽", "مجموعة بيانات", "\u202egnp.exe", "é" * 600, "\n\t ", "",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_gives_a_document_that_is_well_formed_and_harmless(name):
    nodes = (
        Node("a", NodeKind.DATASET, name, name, note=name),
        Node("b", NodeKind.FIELD, "", name),
    )
    picture = draw(Graph(nodes, (Edge("a", "b", name, True),)), title=name, empty=name)
    root = ElementTree.fromstring(picture.encode())
    tags = {each.tag.removeprefix(SVG) for each in root.iter()}
    assert tags <= {
        "svg", "title", "desc", "style", "defs", "marker", "path", "rect", "polygon", "polyline",
        "g", "text",
    }  # fmt: skip
    assert not [key for each in root.iter() for key in each.attrib if key.startswith("on")]
    assert "http" not in picture.replace("http://www.w3.org/2000/svg", "")


def test_emoji_and_right_to_left_names_survive():
    name = "سجل 👩‍👩‍👧‍👦"
    picture = draw(Graph((Node("a", NodeKind.JOB, "", name),), ()), title="t")
    assert f">{name}</text>" in picture
    assert "<title>job " + name + "</title>" in picture


def test_what_xml_forbids_is_replaced():
    assert words.safe("a\x00<\ud800\uffff\t") == "a\ufffd&lt;\ufffd\ufffd\t"


def test_a_long_name_is_cut_in_the_middle_and_whole_in_its_tooltip():
    name = "start" + "x" * 1190 + "ended"
    picture = draw(Graph((Node("a", NodeKind.MODEL, "ns", name),), ()), title="t")
    (shown,) = re.findall(r'<text class="name"[^>]*>([^<]*)<', picture)
    assert re.fullmatch(r"startx+…x+ended", shown)
    assert words.width(shown, 14) <= 190
    assert f"<title>model {name}\nin ns</title>" in picture


def test_shortening_splits_no_joined_character():
    family = "👩‍👩‍👧‍👦"
    assert set(words.fit(family * 30, 12, 130).split("…")) == {family}


def test_the_legend_names_only_kinds_that_occur():
    picture = draw(graph_of(0, []), title="t")
    assert 'class="key"' not in picture
    nodes = (Node("a", NodeKind.RUN, "", "r"), Node("b", NodeKind.MODEL, "", "m", depth=1))
    picture = draw(Graph(nodes, (Edge("a", "b", "", True),)), title="t")
    keys = re.findall(r'class="key"[^>]*>([^<]*)<', picture)
    assert keys == ["run", "model", "what was asked about", "masked on the way"]


def test_a_masked_edge_is_dashed_and_says_so_in_a_word():
    picture = draw(
        Graph(
            tuple(Node(key, NodeKind.FIELD, "", key) for key in "ab"),
            (Edge("a", "b", "sha256", masked=True),),
        ),
        title="t",
    )
    assert ">sha256, masked</text>" in picture
    assert '<path class="edge masked"' in picture
    assert ".masked{stroke-dasharray:6 4}" in picture


def test_a_cut_graph_says_so_and_an_empty_one_too():
    cut = Graph((Node("a", NodeKind.DATASET, "", "d"),), (), truncated=True)
    assert ">cut: more was found than is drawn</text>" in draw(cut, title="t")
    assert ">nothing is known upstream</text>" in draw(Graph((), ()), title="t")
    assert "cut:" not in draw(Graph((), ()), title="t")


def test_the_summary_counts_in_words():
    nodes = [Node(key, NodeKind.DATASET, "", key) for key in "ab"]
    nodes += [Node("j", NodeKind.JOB, "", "j"), Node("m", NodeKind.MODEL, "", "m")]
    edges = (Edge("a", "j", masked=True), Edge("b", "j"), Edge("j", "m"), Edge("j", "gone"))
    picture = draw(Graph(tuple(nodes), edges), title="T & t")
    assert '<title id="t">T &amp; t</title>' in picture
    said = "2 data sets, 1 job and 1 model; 3 flows, 1 of them masked between them."
    assert f'<desc id="d">{said}</desc>' in picture
    assert 'role="img"' in picture


@pytest.mark.parametrize("palette", [style.DAY, style.NIGHT])
def test_all_ink_is_readable_by_day_and_by_night(palette):
    for ink in ("ink", "soft", "rubric"):
        for ground in ("paper", "leaf"):
            low, high = sorted((luminance(palette[ink]), luminance(palette[ground])))
            assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, ground)


def test_two_hundred_nodes_take_less_than_half_a_second():
    chance = random.Random(5)
    links = [(chance.randrange(max(1, i)), i) for i in range(1, 200)]
    links += [tuple(chance.sample(range(200), 2)) for _ in range(200)]
    graph = graph_of(200, links)
    draw(graph, title="warm")
    began = perf_counter()
    draw(graph, title="measured")
    assert perf_counter() - began < 0.5
