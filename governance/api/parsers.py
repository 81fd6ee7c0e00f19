"""Reading bodies: bounded, then strictly."""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import UnsupportedMediaType
from rest_framework.parsers import BaseParser

from governance import gzipped, strictjson
from governance.errors import BodyTooLargeError

BODY_BYTES = 1024 * 1024


class StrictJSONParser(BaseParser):
    """JSON of at most 1 MiB, as sent and once inflated; gzip is the one content encoding."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value, or raise what `governance.strictjson` raises."""
        body = stream.read(BODY_BYTES + 1)
        if len(body) > BODY_BYTES:
            raise BodyTooLargeError(f"the body is over {BODY_BYTES} bytes", limit=BODY_BYTES)
        request = (parser_context or {}).get("request")
        encoding = request.headers.get("Content-Encoding", "") if request else ""
        if encoding == "gzip":
            body = gzipped.inflate(body, limit=BODY_BYTES)
        elif encoding not in {"", "identity"}:
            raise UnsupportedMediaType(encoding, detail="the one content encoding is gzip")
        return strictjson.loads(body)
