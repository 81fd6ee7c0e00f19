"""A lineage graph as an SVG picture that needs nothing else: no script, no font, no link.

The same graph gives the same bytes, whatever the order of its nodes and edges. Full names are in
tooltips where boxes show shortened ones. Who may see what is decided before a graph gets here.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from math import sqrt

from lineage.drawing import layout, words
from lineage.drawing.shapes import NAME, SMALL, WORDS, Box, Direction, box, number, outline
from lineage.drawing.style import ARROW, STYLE
from lineage.graphs import Edge, Graph, Node, NodeKind

MARGIN, HEAD, LEAST = 24.0, 62.0, 320.0
BETWEEN = 36.0  # pixels between disconnected parts
PHONE = 342.0  # what a narrow window shows beside the margins
LABEL_ROOM = 120.0
EMPTY = "nothing is known upstream"
CUT = "cut: more was found than is drawn"
_PLURALS = {kind: f"{word}s" for kind, word in WORDS.items()}
_ALONG_CURVE = (0.5, 0.36, 0.64, 0.24, 0.76)

Point = tuple[float, float]
Area = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(slots=True)
class _Picture:
    """What has been placed so far, in pixels from the corner of the drawing."""

    direction: Direction
    asked: bool  # whether some nodes, not all, are what was asked about
    lines: list[str] = field(default_factory=list)
    boxes: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    taken: list[Area] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0


def draw(graph: Graph, *, title: str, direction: Direction = "right", empty: str = EMPTY) -> str:
    """Draw a graph as an SVG document, the data flowing to the right or down.

    An edge to a node that is not in the graph is not drawn. ``empty`` is what a picture of
    nothing says.
    """
    nodes = sorted(graph.nodes, key=lambda node: node.key)
    known = {node.key: place for place, node in enumerate(nodes)}
    edges = sorted((e for e in graph.edges if {e.source, e.target} <= known.keys()), key=_order)
    depths = {node.depth == 0 for node in nodes}
    picture = _Picture(direction, asked=len(depths) == 2)
    _place(picture, [box(node, direction) for node in nodes], edges, known)
    return _document(picture, nodes, edges, title=title, empty=empty, cut=graph.truncated)


def summary(nodes: Sequence[Node], edges: Sequence[Edge], *, cut: bool = False) -> str:
    """Say in one sentence what a picture shows."""
    kinds = Counter(node.kind for node in nodes)
    counted = [_count(kinds[kind], WORDS[kind], _PLURALS[kind]) for kind in NodeKind if kinds[kind]]
    things = " and ".join(filter(None, (", ".join(counted[:-1]), *counted[-1:]))) or "Nothing"
    masked = sum(edge.masked for edge in edges)
    flows = _count(len(edges), "flow", "flows") + (f", {masked} of them masked" if masked else "")
    return f"{things}; {flows} between them{'; ' + CUT if cut else ''}."


def _count(count: int, one: str, more: str) -> str:
    return f"{count} {one if count == 1 else more}"


def _order(edge: Edge) -> tuple[object, ...]:
    seen = (edge.first_at and edge.first_at.isoformat(), edge.last_at and edge.last_at.isoformat())
    return (edge.source, edge.target, edge.label, edge.masked, *(each or "" for each in seen))


def _place(
    picture: _Picture, boxes: Sequence[Box], edges: Sequence[Edge], known: dict[str, int]
) -> None:
    """Lay each connected part out, and the parts in rows, as words stand on a page."""
    ends = [(known[edge.source], known[edge.target]) for edge in edges]
    laid = []
    for part in layout.parts(len(boxes), ends):
        local = {place: i for i, place in enumerate(part)}
        mine = [
            k for k, (source, target) in enumerate(ends) if source in local and source != target
        ]
        loops = [edges[k] for k, (source, target) in enumerate(ends) if source == target in local]
        found = layout.arrange(
            [_room_of(boxes[place], loops, picture.direction) for place in part],
            [(local[ends[k][0]], local[ends[k][1]]) for k in mine],
            [words.width(_label(edges[k]), SMALL) for k in mine],
        )
        laid.append(
            (part, mine, loops, found, _turned((found.along, found.across), picture.direction))
        )
    area = sum((w + BETWEEN) * (h + BETWEEN) for *_, (w, h) in laid)
    limit = PHONE if picture.direction == "down" else max(3 * LEAST, sqrt(1.8 * area))
    x = y = row = 0.0
    for part, mine, loops, found, (w, h) in laid:
        if x and x + w > limit:
            x, y, row = 0.0, y + row + BETWEEN, 0.0
        _draw_part(picture, [boxes[i] for i in part], [edges[k] for k in mine], found, (x, y))
        _draw_loops(picture, [boxes[i] for i in part], loops, found, (x, y))
        picture.width, row = max(picture.width, x + w), max(row, h)
        x += w + BETWEEN
    picture.height = y + row


def _room_of(each: Box, loops: Sequence[Edge], direction: Direction) -> layout.Size:
    """Return what a box needs, an ear and its label behind it included."""
    mine = [loop for loop in loops if loop.source == each.node.key]
    size = each.size(direction)
    if not mine:
        return size
    label = words.width(_loop_label(mine), SMALL)
    return replace(size, behind=max(24.0, label + 8) if direction == "right" else 44.0)


def _turned(point: Point, direction: Direction) -> Point:
    """Return a point along and across the flow as one of the page, and the other way round."""
    return point if direction == "right" else (point[1], point[0])


def _draw_part(
    picture: _Picture,
    boxes: Sequence[Box],
    edges: Sequence[Edge],
    found: layout.Layout,
    corner: Point,
) -> None:
    by_key = {each.node.key: i for i, each in enumerate(boxes)}
    for each, place in zip(boxes, found.corners, strict=True):
        x, y = _turned(place, picture.direction)
        picture.boxes.append(_node(picture, each, corner[0] + x, corner[1] + y))
    for edge, route in zip(edges, found.routes, strict=True):
        docked = list(route)
        for end, key in ((0, edge.source), (-1, edge.target)):
            each, place = boxes[by_key[key]], found.corners[by_key[key]]
            size = each.size(picture.direction)
            inset = each.inset(picture.direction, route[end][1] - place[1] - size.across / 2)
            inward = inset if route[end][0] <= place[0] else -inset
            docked[end] = (route[end][0] + inward, route[end][1])
        way = [_turned(point, picture.direction) for point in docked]
        way = [(corner[0] + x, corner[1] + y) for x, y in way]
        names = boxes[by_key[edge.source]].node.name, boxes[by_key[edge.target]].node.name
        picture.lines.append(_line(edge, _path(way, picture.direction), names))
        _draw_label(picture, edge, way)


def _node(picture: _Picture, each: Box, x: float, y: float) -> str:
    node, middle = each.node, number(x + each.width / 2)
    asked = " asked" if picture.asked and node.depth == 0 else ""
    told = [f"{WORDS[node.kind]} {node.name}", node.namespace and f"in {node.namespace}", node.note]
    texts = "".join(
        f'<text class="{line.style}" x="{middle}" y="{number(y + line.baseline)}">'
        f"{words.safe(line.text)}</text>"
        for line in each.lines
    )
    shape = outline(node.kind, x, y, each.width, each.height)
    tip = words.safe("\n".join(filter(None, told)))
    return f'<g class="node {node.kind}{asked}"><title>{tip}</title>{shape}{texts}</g>'


def _line(edge: Edge, path: str, names: tuple[str, str]) -> str:
    label = _full_label(edge)
    tip = words.safe(f"{names[0]} → {names[1]}" + (f": {label}" if label else ""))
    style = "edge masked" if edge.masked else "edge"
    return f'<path class="{style}" d="{path}"><title>{tip}</title></path>'


def _path(way: Sequence[Point], direction: Direction) -> str:
    """Return a route as path data: straight and curved pieces take turns."""
    data = [f"M{_at(way[0])}"]
    for piece, (one, other) in enumerate(pairwise(way)):
        if one == other:
            continue
        if piece % 2 == 0:
            data.append(f"L{_at(other)}")
        else:
            data.append("C" + " ".join(_at(each) for each in _handles(one, other, direction)))
    return "".join(data)


def _handles(one: Point, other: Point, direction: Direction) -> tuple[Point, Point, Point]:
    x, y = (one[0] + other[0]) / 2, (one[1] + other[1]) / 2
    if direction == "right":
        return (x, one[1]), (x, other[1]), other
    return (one[0], y), (other[0], y), other


def _at(point: Point) -> str:
    return f"{number(point[0])} {number(point[1])}"


def _draw_loops(
    picture: _Picture,
    boxes: Sequence[Box],
    loops: Sequence[Edge],
    found: layout.Layout,
    corner: Point,
) -> None:
    """Draw what flows from a thing into itself as an ear behind it, inside the gap or margin."""
    for each, place in zip(boxes, found.corners, strict=True):
        size, off = each.size(picture.direction), min(9.0, each.size(picture.direction).dock)
        end = place[0] + size.along - each.inset(picture.direction, off)
        middle, out = place[1] + size.across / 2, end + 28
        ear = [(end, middle - off), (out, middle - 3 * off), (out, middle + 3 * off)]
        ear.append((end, middle + off))
        turned = (_turned(point, picture.direction) for point in ear)
        way = [(corner[0] + x, corner[1] + y) for x, y in turned]
        mine = [loop for loop in loops if loop.source == each.node.key]
        for loop in mine:
            path = f"M{_at(way[0])}C{' '.join(map(_at, way[1:]))}"
            picture.lines.append(_line(loop, path, (each.node.name, each.node.name)))
        text = _loop_label(mine)
        if text:
            half = words.width(text, SMALL) / 2
            under = (end + 4 + half, middle + size.across / 2)
            x, y = under if picture.direction == "right" else (middle, end + 34)
            x, y = corner[0] + x, corner[1] + y
            _write_label(picture, text, (x - half, y - 8, x + half, y + 8))


def _loop_label(loops: Sequence[Edge]) -> str:
    """Return the one label for all ears of a box: they lie on each other."""
    return words.fit("; ".join(dict.fromkeys(filter(None, map(_label, loops)))), SMALL, LABEL_ROOM)


def _full_label(edge: Edge) -> str:
    masked = "masked" if edge.masked else ""
    return masked if edge.label == masked else ", ".join(filter(None, (edge.label, masked)))


def _label(edge: Edge) -> str:
    """Return what stands at an edge; a long label keeps room for the word that it is masked."""
    if not edge.masked or edge.label in ("", "masked"):
        return words.fit(_full_label(edge), SMALL, LABEL_ROOM)
    return words.fit(edge.label, SMALL, LABEL_ROOM / 2) + ", masked"


def _draw_label(picture: _Picture, edge: Edge, way: Sequence[Point]) -> None:
    """Write the label on one of the curves, where it is free; a masked edge is always labelled."""
    text = _label(edge)
    if not text:
        return None
    half, choice = words.width(text, SMALL) / 2, None
    for piece in range(1, len(way) - 1, 2):
        for t in _ALONG_CURVE:
            x, y = _on_curve(way[piece], way[piece + 1], t, picture.direction)
            area = (x - half, y - 8, x + half, y + 8)
            if _inside(area, way[piece], way[piece + 1], picture.direction) and not any(
                _meet(area, other) for other in picture.taken
            ):
                return _write_label(picture, text, area)
            choice = choice or area
    if edge.masked and choice:
        _write_label(picture, text, choice)
    return None


def _write_label(picture: _Picture, text: str, area: Area) -> None:
    picture.taken.append(area)
    left, top, right, bottom = area
    wide, high = number(right - left), number(bottom - top)
    x, y = number((left + right) / 2), number(bottom - 4)
    picture.labels.append(
        f'<rect class="paper" x="{number(left)}" y="{number(top)}" width="{wide}" height="{high}"/>'
        f'<text class="label" x="{x}" y="{y}">{words.safe(text)}</text>'
    )


def _on_curve(one: Point, other: Point, t: float, direction: Direction) -> Point:
    first, second, end = _handles(one, other, direction)
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    x, y = (
        sum(w * p[axis] for w, p in zip(weights, (one, first, second, end), strict=True))
        for axis in (0, 1)
    )
    return x, y


def _inside(area: Area, one: Point, other: Point, direction: Direction) -> bool:
    """Tell whether an area stays in the gap between two layers, where there are no boxes."""
    axis = 0 if direction == "right" else 1
    low, high = sorted((one[axis], other[axis]))
    return low <= area[axis] and area[axis + 2] <= high


def _meet(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _legend(
    nodes: Sequence[Node], edges: Sequence[Edge], *, asked: bool, room: float
) -> tuple[list[str], float]:
    """Explain the shapes that occur; return the elements and the height they take."""
    present = {node.kind for node in nodes}
    items = [
        (f'<g class="node {kind}">{outline(kind, 0, 0, 26, 18)}</g>', WORDS[kind])
        for kind in NodeKind
        if kind in present
    ]
    if asked:
        mark = '<g class="node asked"><rect x="0" y="0" width="26" height="18"/></g>'
        items.append((mark, "what was asked about"))
    if any(edge.masked for edge in edges):
        mark = '<path class="edge masked" d="M0 9L30 9"/>'
        items.append((mark, "masked on the way"))
    drawn, x, y = [], 0.0, 0.0
    for mark, word in items:
        wide = 36 + words.width(word, SMALL)
        if x and x + wide > room:
            x, y = 0.0, y + 26
        text = f'<text class="key" x="36" y="13">{word}</text>'
        drawn.append(f'<g transform="translate({number(x)} {number(y)})">{mark}{text}</g>')
        x += wide + 18
    return drawn, y + 18 if items else 0.0


def _document(
    picture: _Picture,
    nodes: Sequence[Node],
    edges: Sequence[Edge],
    *,
    title: str,
    empty: str,
    cut: bool,
) -> str:
    room = max(picture.width, LEAST if picture.direction == "right" else PHONE)
    left = MARGIN + (room - picture.width) / 2
    foot = HEAD + (picture.height if nodes else 24) + 32
    keys, tall = _legend(nodes, edges, asked=picture.asked, room=room)
    wide, high = number(room + 2 * MARGIN), number(foot + tall + (26 if cut else 0) + MARGIN)
    said = [] if nodes else [f'<text class="said" x="{MARGIN:g}" y="80">{words.safe(empty)}</text>']
    if cut:
        said.append(
            f'<text class="said" x="{MARGIN:g}" y="{number(foot + tall + 24)}">{CUT}</text>'
        )
    shown = words.safe(words.fit(title, NAME + 3, room))
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="t d"',
            f'viewBox="0 0 {wide} {high}" width="{wide}" height="{high}">',
            f'<title id="t">{words.safe(title)}</title>',
            f'<desc id="d">{summary(nodes, edges, cut=cut)}</desc>',
            f"<style>{STYLE}</style>{ARROW}",
            f'<rect class="paper" width="{wide}" height="{high}"/>',
            f'<text class="head" x="{MARGIN:g}" y="38">{shown}</text>',
            f'<g transform="translate({number(left)} {HEAD:g})">',
            *picture.lines,
            *picture.boxes,
            *picture.labels,
            f'</g><g transform="translate({MARGIN:g} {number(foot)})">',
            *keys,
            "</g>",
            *said,
            "</svg>\n",
        ]
    )
