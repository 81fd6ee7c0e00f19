"""The box of a node: a shape and a word for each kind, so that no kind is told by colour alone."""

from dataclasses import dataclass
from math import sqrt
from typing import Literal

from lineage.drawing import words
from lineage.drawing.layout import Size
from lineage.graphs import Node, NodeKind

Direction = Literal["right", "down"]

WORDS = {
    NodeKind.DATASET: "data set",
    NodeKind.JOB: "job",
    NodeKind.RUN: "run",
    NodeKind.MODEL: "model",
    NodeKind.FIELD: "field",
}
NAME, SMALL = 14.0, 12.0  # font sizes in pixels; nothing is smaller
FOLD, POINT = 11.0, 15.0  # a data set's turned corner, a model's points
_PADS = {
    NodeKind.DATASET: 16.0,
    NodeKind.JOB: 24.0,
    NodeKind.RUN: 24.0,
    NodeKind.MODEL: 24.0,
    NodeKind.FIELD: 9.0,
}
_ROOM: dict[Direction, float] = {"right": 190.0, "down": 128.0}
_FIELD_ROOM = 120.0


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text in a box: its class, its words, and its baseline under the box's top."""

    style: str
    text: str
    baseline: float


@dataclass(frozen=True, slots=True)
class Box:
    """A node with its shortened lines, and the extents that these need, in pixels."""

    node: Node
    lines: tuple[Line, ...]
    width: float
    height: float

    def size(self, direction: Direction) -> Size:
        """Return the extents along and across the flow; lines dock where the border is gentle."""
        if direction == "right":
            round_off = self.height / 4 if self._is_pill else 12.0
            return Size(self.width, self.height, self.height / 2 - round_off)
        corner = self.height / 2 if self._is_pill else POINT + 3
        return Size(self.height, self.width, max(self.width / 2 - corner, 4.0))

    def inset(self, direction: Direction, off: float) -> float:
        """Return how far behind its box the border lies, ``off`` pixels from the middle."""
        half = self.height / 2
        if direction == "down":
            return 0.0
        if self._is_pill:
            return half - sqrt(max(half * half - off * off, 0.0))
        return POINT * abs(off) / half if self.node.kind is NodeKind.MODEL else 0.0

    @property
    def _is_pill(self) -> bool:
        return self.node.kind in (NodeKind.JOB, NodeKind.RUN)


def box(node: Node, direction: Direction) -> Box:
    """Return the box of a node: kind and note, name, namespace, each shortened to one line."""
    small = node.kind is NodeKind.FIELD
    room = _FIELD_ROOM if small else _ROOM[direction]
    size = SMALL if small else NAME
    kind = " · ".join(filter(None, (WORDS[node.kind], node.note)))
    lines = [
        Line("kind", words.fit(kind, SMALL, room), 17.0),
        Line("field" if small else "name", words.fit(node.name, size, room), 35.0),
    ]
    if node.namespace.strip():
        lines.append(Line("space", words.fit(node.namespace, SMALL, room), 51.0))
    widest = max(words.width(e.text, size if e is lines[1] else SMALL) for e in lines)
    width = max(widest + 2 * _PADS[node.kind], 76.0)
    return Box(node, tuple(lines), round(width), lines[-1].baseline + 11.0)


def outline(kind: NodeKind, x: float, y: float, width: float, height: float) -> str:
    """Return a kind's shape as SVG elements; its extents are exactly those given."""
    right, bottom = x + width, y + height
    if kind is NodeKind.DATASET:
        fold = min(FOLD, height / 2.5)
        corner = [(right - fold, y), (right - fold, y + fold), (right, y + fold)]
        sheet = [(x, y), corner[0], corner[2], (right, bottom), (x, bottom)]
        return f'<polygon points="{points(sheet)}"/><polyline points="{points(corner)}"/>'
    if kind is NodeKind.MODEL:
        tip, middle = min(POINT, height / 3), y + height / 2
        top = [(x, middle), (x + tip, y), (right - tip, y)]
        under = [(right, middle), (right - tip, bottom), (x + tip, bottom)]
        return f'<polygon points="{points(top + under)}"/>'
    radius = 0 if kind is NodeKind.FIELD else height / 2
    place = f'x="{number(x)}" y="{number(y)}" width="{number(width)}" height="{number(height)}"'
    return f'<rect {place} rx="{number(radius)}"/>'


def points(places: list[tuple[float, float]]) -> str:
    """Return points as SVG writes them."""
    return " ".join(f"{number(x)},{number(y)}" for x, y in places)


def number(value: float) -> str:
    """Return a length to a tenth of a pixel, without a needless end."""
    return f"{round(value, 1) + 0.0:.1f}".removesuffix(".0")
