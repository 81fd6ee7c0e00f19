"""Inflating gzip (RFC 1952) within a bound, so that a small body cannot become a large one."""

import zlib

from governance.errors import BodyTooLargeError, ColophonError

GZIP_ONLY = 31  # zlib's window bits: 15, and 16 more for "a gzip header, nothing else"


class MalformedGzipError(ColophonError):
    """The body is not exactly one whole gzip member."""

    code = "malformed_gzip"
    status = 400


def inflate(body: bytes, *, limit: int) -> bytes:
    """Return the content of one gzip member of at most ``limit`` bytes inflated.

    Raises `BodyTooLargeError` without inflating further, and `MalformedGzipError` for what is
    damaged or truncated, or goes on after the member's end.
    """
    stream = zlib.decompressobj(GZIP_ONLY)
    try:
        content = stream.decompress(body, limit + 1)
    except zlib.error:
        raise MalformedGzipError("the body is not valid gzip") from None
    if len(content) > limit:
        raise BodyTooLargeError(f"the body inflates to more than {limit} bytes", limit=limit)
    if not stream.eof:
        raise MalformedGzipError("the gzip body ends too early")
    if stream.unused_data:
        raise MalformedGzipError("the gzip body goes on after its end")
    return content
