"""One line of the result."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """A figure and its yardstick. ``ratio`` is ours by theirs; ``aim`` is what we want of it."""

    name: str
    value: float
    unit: str
    yardstick: str
    yardstick_value: float
    scale: str
    aim: str

    @property
    def ratio(self) -> float:
        return self.value / self.yardstick_value if self.yardstick_value else float("nan")

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "yardstick": self.yardstick,
            "yardstick_value": self.yardstick_value,
            "ratio": self.ratio,
            "scale": self.scale,
        }
