"""Where boxes and lines go: layers along the flow, few crossings, nothing on top of anything.

Pure geometry in flow coordinates: ``along`` runs with the data and ``across`` at right angles,
so that one layout serves pictures to the right and pictures downwards. igraph breaks cycles and
orders each layer; the distances are found here, because lines need less room than boxes do.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import igraph

Point = tuple[float, float]  # along, across
Link = tuple[int, int]

GAP = 56.0  # along, between two layers
APART = 20.0  # across, between two boxes of a layer
BESIDE = 9.0  # across, between two lines, or half of what is between a line and a box
ROUNDS = 10  # sweeps that pull boxes to their neighbours; more change nothing one can see


@dataclass(frozen=True, slots=True)
class Size:
    """The extents of a box, how far from its middle lines may dock, and what is kept free after."""

    along: float
    across: float
    dock: float
    behind: float = 0.0


@dataclass(frozen=True, slots=True)
class Layout:
    """Corners of boxes nearest to the origin, and a route for every link, from source to target.

    A route alternates straight and curved pieces: points 0 and 1 are joined by a straight line,
    1 and 2 by a curve, 2 and 3 by a line again. Curves never leave the gap between two layers.
    """

    corners: list[Point]
    routes: list[list[Point]]
    along: float
    across: float


def parts(count: int, links: Sequence[Link]) -> list[list[int]]:
    """Return the connected parts of a graph, each a sorted list of its nodes, largest first."""
    graph = igraph.Graph(n=count, edges=list(links), directed=True)
    found = (sorted(part) for part in graph.connected_components(mode="weak"))
    return sorted(found, key=lambda part: (-len(part), part))


def arrange(sizes: Sequence[Size], links: Sequence[Link], rooms: Sequence[float]) -> Layout:
    """Lay one connected part out; ``rooms`` says how long a label each link carries.

    Links from a node to itself are no business of a layout and must not be among ``links``.
    """
    back = _feedback(len(sizes), links)
    ahead = [(t, s) if k in back else (s, t) for k, (s, t) in enumerate(links)]
    layers = _layers(len(sizes), ahead)
    chains = _chains(ahead, layers)  # appends the layers of the stops it invents
    extents = [each.across for each in sizes] + [0.0] * (len(layers) - len(sizes))
    rows = _ordered(layers, chains)
    middles = _middles(rows, extents, [pair for chain in chains for pair in pairwise(chain)])
    begins, ends = _columns(rows, sizes, chains, middles, rooms)
    low, high = _docks(sizes, ahead, chains, middles)
    routes = []
    for k, chain in enumerate(chains):
        source, target = ahead[k]
        start = begins[layers[source]] + sizes[source].along
        route = [(start, high[k]), (ends[layers[source]], high[k])]
        for stop in chain[1:-1]:
            route += [(begins[layers[stop]], middles[stop]), (ends[layers[stop]], middles[stop])]
        route += [(begins[layers[target]], low[k])] * 2
        routes.append(route[::-1] if k in back else route)
    corners = [(begins[layers[i]], middles[i] - each.across / 2) for i, each in enumerate(sizes)]
    across = max(m + e / 2 for m, e in zip(middles, extents, strict=True))
    return Layout(corners, routes, ends[-1], across)


def _feedback(count: int, links: Sequence[Link]) -> set[int]:
    """Return the places of links to be turned round so that no cycle is left."""
    graph = igraph.Graph(n=count, edges=list(links), directed=True)
    return set() if graph.is_dag() else set(graph.feedback_arc_set(method="eades"))


def _layers(count: int, links: Sequence[Link]) -> list[int]:
    """Return each node's layer: after all it comes from, and sources close to what they feed."""
    after: dict[int, list[int]] = defaultdict(list)
    fed: set[int] = set()
    for source, target in links:
        after[source].append(target)
        fed.add(target)
    layers = [0] * count
    graph = igraph.Graph(n=count, edges=list(links), directed=True)
    for node in graph.topological_sorting():
        for target in after[node]:
            layers[target] = max(layers[target], layers[node] + 1)
    for node in range(count):
        if node not in fed and after[node]:
            layers[node] = min(layers[target] for target in after[node]) - 1
    lowest = min(layers)
    return [layer - lowest for layer in layers]


def _chains(links: Sequence[Link], layers: list[int]) -> list[list[int]]:
    """Return each link as a walk with a stop in every layer; stops are appended to ``layers``."""
    chains = []
    for source, target in links:
        between = range(layers[source] + 1, layers[target])
        stops = list(range(len(layers), len(layers) + len(between)))
        layers.extend(between)
        chains.append([source, *stops, target])
    return chains


def _ordered(layers: Sequence[int], chains: Iterable[Sequence[int]]) -> list[list[int]]:
    """Return the layers, each in an order that crosses few lines."""
    steps = [pair for chain in chains for pair in pairwise(chain)]
    graph = igraph.Graph(n=len(layers), edges=steps, directed=True)
    places = graph.layout_sugiyama(layers=list(layers), maxiter=40)
    rows: list[list[int]] = [[] for _ in range(max(layers) + 1)]
    for vertex, layer in enumerate(layers):
        rows[layer].append(vertex)
    for row in rows:
        row.sort(key=lambda vertex: (places[vertex][0], vertex))
    return rows


def _middles(
    rows: Sequence[Sequence[int]], extents: Sequence[float], steps: Sequence[Link]
) -> list[float]:
    """Return everything's middle across: near its neighbours, and never closer than it may be."""
    before: dict[int, list[int]] = defaultdict(list)
    after: dict[int, list[int]] = defaultdict(list)
    for source, target in steps:
        before[target].append(source)
        after[source].append(target)
    middles = [0.0] * len(extents)
    for row in rows:
        for vertex, place in zip(row, _offsets(row, extents), strict=True):
            middles[vertex] = place
    for turn in range(ROUNDS):
        near = (before, after)[turn % 2] if turn < ROUNDS - 2 else None
        for row in rows if turn % 2 == 0 else rows[::-1]:
            wanted = []
            for vertex in row:
                pull = near[vertex] if near is not None else before[vertex] + after[vertex]
                heights = [middles[each] for each in pull] or [middles[vertex]]
                wanted.append(sum(heights) / len(heights))
            for vertex, place in zip(row, _spaced(wanted, _offsets(row, extents)), strict=True):
                middles[vertex] = place
    top = min(m - e / 2 for m, e in zip(middles, extents, strict=True))
    return [middle - top for middle in middles]


def _offsets(row: Sequence[int], extents: Sequence[float]) -> list[float]:
    """Return how far each thing of a row must be from the first one, middle to middle."""
    offsets = [0.0]
    for one, other in pairwise(row):
        free = sum(APART / 2 if extents[each] else BESIDE / 2 for each in (one, other))
        offsets.append(offsets[-1] + (extents[one] + extents[other]) / 2 + free)
    return offsets


def _spaced(wanted: Sequence[float], offsets: Sequence[float]) -> list[float]:
    """Return the places nearest to the wanted ones (least squares) that keep order and distance.

    Without their offsets the places must only not fall, which is isotonic regression: neighbours
    in the wrong order are pooled and stand at their mean.
    """
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=True):
        mean, size = want - offset, 1
        while pools and pools[-1][0] > mean:
            other, count = pools.pop()
            mean = (mean * size + other * count) / (size + count)
            size += count
        pools.append((mean, size))
    means = [mean for mean, size in pools for _ in range(size)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _columns(
    rows: Sequence[Sequence[int]],
    sizes: Sequence[Size],
    chains: Sequence[Sequence[int]],
    middles: Sequence[float],
    rooms: Sequence[float],
) -> tuple[list[float], list[float]]:
    """Return where each layer begins and ends along; steep lines and labels get wider gaps."""
    layer_of = {vertex: layer for layer, row in enumerate(rows) for vertex in row}
    gaps = [GAP] * len(rows)
    for chain, room in zip(chains, rooms, strict=True):
        first = layer_of[chain[0]]
        gaps[first] = max(gaps[first], room and room + GAP / 2)
        for one, other in pairwise(chain):
            steep = min(abs(middles[one] - middles[other]) / 6, 3 * GAP)
            gaps[layer_of[one]] = max(gaps[layer_of[one]], steep)
    begins, ends, place = [], [], 0.0
    for row, gap in zip(rows, gaps, strict=True):
        begins.append(place)
        boxes = [sizes[vertex] for vertex in row if vertex < len(sizes)]
        ends.append(place + max((each.along + each.behind for each in boxes), default=0.0))
        place = ends[-1] + gap
    return begins, ends


def _docks(
    sizes: Sequence[Size],
    links: Sequence[Link],
    chains: Sequence[Sequence[int]],
    middles: Sequence[float],
) -> tuple[list[float], list[float]]:
    """Return where each link meets its target and its source, across, fanned out on the border."""
    sides: dict[tuple[int, bool], list[tuple[float, int]]] = defaultdict(list)
    for k, (source, target) in enumerate(links):
        sides[source, True].append((middles[chains[k][1]], k))
        sides[target, False].append((middles[chains[k][-2]], k))
    docks = {True: [0.0] * len(links), False: [0.0] * len(links)}
    for (node, leaving), ends in sides.items():
        step = min(9.0, 2 * sizes[node].dock / max(1, len(ends) - 1))
        for place, (_, k) in enumerate(sorted(ends)):
            docks[leaving][k] = middles[node] + (place - (len(ends) - 1) / 2) * step
    return docks[False], docks[True]
