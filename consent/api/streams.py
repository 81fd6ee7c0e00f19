"""Bodies that are read as they come: long lists of people, taken whole or not at all."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any, ClassVar

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from consent.manifest_errors import BODY_BYTES
from consent.manifests import Body, ManifestTruncatedError
from governance.errors import ColophonError

BLOCK_BYTES = 1 << 20
HEARD_OUT_BYTES = 256 << 20


class LengthRequiredError(ColophonError):
    """Without a length, a list that was cut off would look like a whole one."""

    code = "length_required"
    status = 411


class BodyEmptyError(ColophonError):
    """Nothing came. A list of nobody is an empty line, or a header alone."""

    code = "body_empty"
    status = 400


@dataclass(frozen=True, slots=True)
class Sent:
    """A body that nobody has read yet, and how it says it is written."""

    form: str
    stream: IO[bytes]


class StreamParser(BaseParser):
    """Hand the body over as it comes."""

    form: ClassVar[str]

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the stream itself, as `Sent`."""
        return Sent(self.form, stream)


def sent_in(request: Request) -> Sent:
    """Return the body, or raise `LengthRequiredError` or `BodyEmptyError`."""
    length_of(request)
    sent: Any = request.data
    if not isinstance(sent, Sent):
        raise BodyEmptyError("the body is empty: a list of nobody is an empty line")
    return sent


def body_of(request: Request, sent: Sent, *, key: bytes, limit: int = BODY_BYTES) -> Body:
    """Return the content of a body: counted, inflated, and digested under a key."""
    length, gzipped = length_of(request), _gzipped(request)
    return Body(_reader(sent.stream), key=key, length=length, gzipped=gzipped, limit=limit)


def length_of(request: Request) -> int:
    """Return how long the body is as sent, or raise `LengthRequiredError`."""
    try:
        return int(request.headers["Content-Length"])
    except (KeyError, ValueError):
        raise LengthRequiredError("say how long the body is: Content-Length") from None


@contextlib.contextmanager
def heard_out(request: Request) -> Iterator[None]:
    """Read a refused body to its end, within a bound: a refusal reaches who has stopped sending."""
    try:
        yield
    except Exception:
        left = HEARD_OUT_BYTES
        with contextlib.suppress(OSError):
            while left > 0 and (block := request.read(BLOCK_BYTES)):
                left -= len(block)
        raise


def _gzipped(request: Request) -> bool:
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in {"identity", "gzip"}:
        raise UnsupportedMediaType(encoding, detail="the one content encoding is gzip")
    return encoding == "gzip"


def _reader(stream: IO[bytes]) -> Callable[[int], bytes]:
    def read(size: int) -> bytes:
        try:
            return stream.read(size)
        except OSError:
            raise ManifestTruncatedError("the connection was lost") from None

    return read
