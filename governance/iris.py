"""Addresses of concepts: absolute IRIs (RFC 3987) of the web, or URNs (RFC 8141).

Pure. Other schemes are refused on purpose: ``dpv:Research`` would be one too, and is an
abbreviation that only its writer can resolve.
"""

import re
from urllib.parse import urlsplit

_FORBIDDEN = re.compile(
    r"[\s\x00-\x20\x7f-\x9f<>\"{}|\\^`\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
_HALF_ESCAPED = re.compile(r"%(?![0-9A-Fa-f]{2})")
_URN = re.compile(r"urn:[a-z0-9][a-z0-9-]{0,30}[a-z0-9]:[^#?]", re.IGNORECASE)


def is_absolute(text: str) -> bool:
    """Say whether a text is the whole address of a concept."""
    if _FORBIDDEN.search(text) or _HALF_ESCAPED.search(text):
        return False
    if _URN.match(text):
        return True
    try:
        parts = urlsplit(text)
        return (
            parts.scheme in {"http", "https"}
            and bool(parts.hostname)
            and "@" not in (parts.netloc)
            and parts.port != 0
        )
    except ValueError:  # half an IPv6 address, or a port that is none
        return False
