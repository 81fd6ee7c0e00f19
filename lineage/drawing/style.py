"""The look of pictures: the portal's paper and ink, by day and by night.

Colours stand here as plain values, not as custom properties, for more programs show SVG than
browsers do.
"""

SERIF = (
    '"Iowan Old Style","Palatino Linotype",Palatino,"URW Palladio L",P052,'
    '"Book Antiqua",Georgia,"Noto Serif","DejaVu Serif",serif'
)
DAY = {
    "paper": "#faf6ee",
    "leaf": "#fffdf9",
    "ink": "#231d16",
    "soft": "#5f5446",
    "rubric": "#8f2415",
}
NIGHT = {
    "paper": "#16130f",
    "leaf": "#1e1a15",
    "ink": "#ece4d7",
    "soft": "#b8ac9b",
    "rubric": "#e69f8d",
}


def _colours(of: dict[str, str]) -> str:
    return (
        f".paper{{fill:{of['paper']}}}"
        f"text{{fill:{of['ink']}}}"
        f".kind,.space,.key,.label{{fill:{of['soft']}}}"
        f".said{{fill:{of['rubric']}}}"
        f".node>*{{stroke:{of['soft']}}}.node>rect,.node>polygon{{fill:{of['leaf']}}}"
        f".node>text{{stroke:none}}"
        f".asked>rect,.asked>polygon,.asked>polyline{{stroke:{of['rubric']}}}"
        f".edge{{stroke:{of['soft']}}}#tip path{{fill:{of['soft']}}}"
    )


STYLE = (
    f"text{{font-family:{SERIF};font-size:12px}}"
    ".node>text,.label{text-anchor:middle}"
    ".head{font-size:17px}.name{font-size:14px}.kind,.said{font-style:italic}.said{font-size:14px}"
    ".node>*{stroke-width:1.2}.node>polyline,.edge{fill:none}"
    ".run>rect{stroke-dasharray:4 3}"
    ".asked>rect,.asked>polygon{stroke-width:2.6}"
    ".edge{stroke-width:1.2;marker-end:url(#tip)}.masked{stroke-dasharray:6 4}"
    f"{_colours(DAY)}@media(prefers-color-scheme:dark){{{_colours(NIGHT)}}}"
)
ARROW = (
    '<defs><marker id="tip" markerUnits="userSpaceOnUse" markerWidth="9" markerHeight="8" '
    'refX="8.5" refY="4" orient="auto"><path d="M0 0.5L9 4L0 7.5Z"/></marker></defs>'
)
