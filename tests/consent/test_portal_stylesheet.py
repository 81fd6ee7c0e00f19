"""The colours can be told apart, in the light and in the dark (WCAG 2.2, AA)."""

import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

TEXT, PARTS = 4.5, 3.0


def stylesheet() -> str:
    found = finders.find("colophon.css")
    assert isinstance(found, str)
    return re.sub(r"/\*.*?\*/", "", Path(found).read_text(encoding="utf-8"), flags=re.S)


def palettes() -> list[dict[str, str]]:
    roots = re.findall(r":root\s*{(.*?)}", stylesheet(), re.S)
    return [dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})", root)) for root in roots]


def luminance(colour: str) -> float:
    digits = colour[1:] if len(colour) == 7 else "".join(each * 2 for each in colour[1:])
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [
        each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_there_is_a_palette_for_light_dark_and_paper():
    light, dark, paper = palettes()
    assert set(light) == set(dark) == set(paper)
    assert luminance(light["paper"]) > 0.8
    assert luminance(dark["paper"]) < 0.05
    assert paper["paper"] == "#fff"


@pytest.mark.parametrize("place", [0, 1, 2], ids=["light", "dark", "print"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        ("ink", "paper", 7.0), ("ink", "leaf", 7.0),
        ("soft", "paper", TEXT), ("soft", "leaf", TEXT),
        ("rubric", "paper", TEXT), ("rubric", "leaf", TEXT), ("on-rubric", "rubric", TEXT),
        ("edge", "paper", PARTS), ("edge", "leaf", PARTS),
    ],
)  # fmt: skip
def test_text_and_controls_stand_out_from_what_is_behind(place, front, back, least):
    palette = palettes()[place]
    assert contrast(palette[front], palette[back]) >= least


def test_black_on_white_is_measured_as_the_standard_says():
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#fff") == pytest.approx(4.48, abs=0.01)


def test_the_stylesheet_needs_nothing_from_elsewhere():
    assert not re.search(r"url\(|@import|https?:", stylesheet())


def test_every_colour_is_of_the_palette():
    rest = re.sub(r":root\s*{.*?}", "", stylesheet(), flags=re.S)
    assert not re.search(r"#[0-9a-f]{3,8}\b(?![^{]*{)|rgba?\(|hsla?\(", rest)
