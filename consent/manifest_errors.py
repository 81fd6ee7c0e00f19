"""How a manifest is refused, and what the largest may hold, however it is written. Pure."""

from governance.errors import ColophonError

BODY_BYTES = 4 << 30


class ManifestMalformedError(ColophonError):
    """A line cannot be read; nothing of the manifest was taken."""

    code = "manifest_malformed"
    status = 400


def malformed(line: int, reason: str) -> ManifestMalformedError:
    """Return the error for a line, without what stands in it."""
    return ManifestMalformedError(f"line {line}: {reason}", line=line)
