"""Text that fits: estimated widths, shortening in the middle, and what XML can carry."""

import re
import unicodedata
from html import escape

ELLIPSIS = "…"
# What XML 1.0 cannot carry, not even escaped; a name with such a character is still drawn.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_THIN, _NARROW, _WIDE = frozenset("ijl.,:;'|! "), frozenset("frstI()[]/-"), frozenset("mwMW@%—")
_JOINER = "\u200d"


def safe(text: str) -> str:
    """Return the text escaped for XML 1.0, with the replacement character for what it forbids."""
    return escape(_FORBIDDEN.sub("\ufffd", text))


def width(text: str, size: float) -> float:
    """Estimate a text's width in a font of ``size``; rather too wide, for no font is measured."""
    return size * sum(_em(character) for character in text)


def fit(text: str, size: float, room: float) -> str:
    """Return the text on one line, its middle left out if it is wider than ``room``."""
    # The ends tell names apart. A name of a kilobyte is cut first, so that none costs long.
    line = " ".join(text.split())
    if width(line, size) <= room:
        return line
    half = (room - width(ELLIPSIS, size)) / 2
    head = _within(_clusters(line[:300]), size, half)
    tail = _within(_clusters(line[-300:])[::-1], size, half)
    return "".join(head).rstrip(" .") + ELLIPSIS + "".join(tail[::-1]).lstrip(" .")


def _within(clusters: list[str], size: float, room: float) -> list[str]:
    taken = 0.0
    for place, cluster in enumerate(clusters):
        taken += width(cluster, size)
        if taken > room:
            return clusters[:place]
    return clusters


def _clusters(text: str) -> list[str]:
    """Split into what a reader takes for one character: an accent or a joined emoji stays whole."""
    found: list[str] = []
    for character in text:
        joined = unicodedata.category(character)[0] == "M" or character == _JOINER
        tone = "\U0001f3fb" <= character <= "\U0001f3ff"
        if found and (joined or tone or found[-1].endswith(_JOINER)):
            found[-1] += character
        else:
            found.append(character)
    return found


def _em(character: str) -> float:
    if character in _THIN:
        return 0.34
    if character in _NARROW:
        return 0.5
    if character in _WIDE:
        return 0.95
    if character.isascii():
        return 0.72 if character.isupper() else 0.6
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0.0
    return 1.1 if unicodedata.east_asian_width(character) in ("W", "F") else 0.75
