"""Plain text with blank lines, ``#`` headings and ``-`` lists, as blocks that a template sets.

Pure. It knows no markup beyond these three on purpose: what is published was written to be read
as it stands, and nothing in it can become a link, a picture or a script.
"""

import re
from dataclasses import dataclass, field

_BLANK = re.compile(r"\n[ \t]*\n")
_HEADING = re.compile(r"#{1,6}[ \t]+(.+)")
_ITEM = re.compile(r"[ \t]*[-*\u2022][ \t]+(.+)")


@dataclass(frozen=True, slots=True)
class Block:
    """A heading, a paragraph, or a list with its items."""

    kind: str
    text: str = ""
    items: list[str] = field(default_factory=list)


def blocks(text: str) -> list[Block]:
    """Return a text's blocks in order; what is no heading and no list is a paragraph."""
    found: list[Block] = []
    for part in _BLANK.split(text.replace("\r\n", "\n").replace("\r", "\n")):
        found.extend(_blocks_of(part.strip("\n")))
    return found


def _blocks_of(part: str) -> list[Block]:
    found: list[Block] = []
    for line in part.split("\n"):
        heading, item = _HEADING.fullmatch(line), _ITEM.fullmatch(line)
        last = found[-1] if found else None
        if not line.strip():
            continue
        if heading:
            found.append(Block("heading", heading[1].strip()))
        elif item and last and last.kind == "list":
            last.items.append(item[1].strip())
        elif item:
            found.append(Block("list", items=[item[1].strip()]))
        elif last and last.kind == "paragraph":
            found[-1] = Block("paragraph", f"{last.text} {line.strip()}")
        elif last and last.kind == "list":
            last.items[-1] += f" {line.strip()}"
        else:
            found.append(Block("paragraph", line.strip()))
    return found
