"""An object store, or whatever else fsspec reaches, where one upload replaces a file at once.

The file is copied here, into a nameless temporary file that even a killed process cannot leave
behind. Who changed the object meanwhile is noticed, in the moment of the upload too where the store
knows conditions (S3). Tags are the store's own; older versions, which
a bucket may be set to keep, still hold the people and are told in the evidence.
"""

import glob
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from typing import Any, BinaryIO, Final, cast

import fsspec

from consent.connectors.base import JSON, StorageBusyError, StorageUnreadableError
from consent.connectors.s3 import SCHEMES, s3_address
from consent.connectors.store import Rewrite, relative

ONE_UPLOAD: Final = 32 << 20  # bytes that S3 gets in one conditional request, from memory
ABANDONED: Final = 86_400  # seconds after which nobody can still be at an upload
_CONFLICTS: Final = {"PreconditionFailed", "ConditionalRequestConflict", "412"}


class Objects:
    """Keys below one prefix."""

    def __init__(self, address: str) -> None:
        scheme, options = address.partition("://")[0], {}
        self._settings: dict[str, str] = {}
        if scheme in SCHEMES:
            s3 = s3_address(address)
            address, options, self._settings = s3.url, s3.for_fsspec(), s3.for_rust()
        self._url = address
        try:
            # Neither instances nor listings are kept: what is asked must be read.
            self._fs, root = fsspec.core.url_to_fs(
                address, skip_instance_cache=True, use_listings_cache=False, **options
            )
        except (ImportError, ValueError):
            raise StorageUnreadableError(
                f"Install the fsspec driver for {scheme}:// addresses to reach this storage."
            ) from None
        self._root = root.rstrip("/")

    def names(self, location: str) -> list[str]:
        """List keys, and folders where the store has them."""
        path = relative(location)
        if self._fs.isfile(self._key(path)):
            return [path]
        found = self._fs.glob(self._key(path, glob.escape(self._root)), detail=True)
        return sorted(
            key[len(self._root) + 1 :] + ("/" if about["type"] == "directory" else "")
            for key, about in found.items()
        )

    @contextmanager
    def reading(self, name: str) -> Iterator[BinaryIO]:
        """Open it; what is read comes over the network in blocks."""
        with self._fs.open(self._key(name), "rb") as source:
            yield cast("BinaryIO", source)

    @contextmanager
    def rewriting(self, name: str) -> Iterator[Rewrite]:
        """Copy the object here and upload the draft if nobody changed the object meanwhile."""
        key = self._key(name)
        seen, about = self._fs.ukey(key), self._fs.info(key)
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as draft:
            with self.reading(name) as remote:
                shutil.copyfileobj(remote, source, 1 << 20)
            yield Rewrite(source, draft, partial(self._publish, draft, key, seen, about, name))

    def url(self, name: str) -> tuple[str, dict[str, str]]:
        """Return the URL without its settings, and those."""
        return f"{self._url.rstrip('/')}/{name}", self._settings

    def remove(self, name: str) -> None:
        """Delete it; a bucket may keep an older version."""
        self._fs.rm_file(self._key(name))

    def sweep(self, names: Iterable[str]) -> None:
        """Remove the parts of uploads that were never completed, where the store has parts."""
        if "s3" not in self._fs.protocol:
            return
        keys, now = {self._key(name) for name in names}, datetime.now(tz=UTC)
        bucket = self._root.partition("/")[0]
        with suppress(PermissionError):  # who may not list them has none to answer for
            for each in self._fs.list_multipart_uploads(bucket):
                abandoned = (now - each["Initiated"]).total_seconds() > ABANDONED
                if abandoned and f"{bucket}/{each['Key']}" in keys:
                    self._fs.abort_mpu(bucket, each["Key"], each["UploadId"])

    def _publish(
        self, draft: BinaryIO, key: str, seen: str, about: Mapping[str, Any], name: str
    ) -> Mapping[str, JSON]:
        etag = about.get("ETag") if "s3" in self._fs.protocol else None
        how = self._kept(key, about) | {"IfMatch": etag} if etag else {}
        size = draft.seek(0, os.SEEK_END)
        draft.seek(0)
        try:
            if etag and size <= ONE_UPLOAD:
                self._fs.pipe_file(key, draft.read(), **how)
            else:
                self._upload(draft, key, seen, name, how)
        except OSError as error:
            if _code(error) in _CONFLICTS:
                raise _changed(name) from None
            raise
        versioned = about.get("VersionId") not in {None, "null"}
        return {"older_versions": "kept by the bucket"} if versioned else {}

    def _upload(
        self, draft: BinaryIO, key: str, seen: str, name: str, how: Mapping[str, Any]
    ) -> None:
        # Closing a file would commit half an upload; a transaction discards it when anything fails.
        with self._fs.transaction:
            with self._fs.open(key, "wb", **how) as upload:
                shutil.copyfileobj(draft, upload, 1 << 20)
            if self._fs.ukey(key) != seen:
                raise _changed(name)

    def _kept(self, key: str, about: Mapping[str, Any]) -> dict[str, Any]:
        """Return what S3 would otherwise forget of the object."""
        kept: dict[str, Any] = {"Metadata": dict(self._fs.metadata(key))}
        return kept | {"ContentType": about["ContentType"]} if about.get("ContentType") else kept

    def _key(self, name: str, root: str | None = None) -> str:
        return f"{self._root if root is None else root}/{name}"


def _changed(name: str) -> StorageBusyError:
    return StorageBusyError(
        f"Others changed {name} meanwhile; nothing was changed, it is tried again."
    )


def _code(error: OSError) -> str:
    """Return the code with which S3 refused, which s3fs keeps in the cause only."""
    answer = getattr(error.__cause__, "response", None) or {}
    return str(answer.get("Error", {}).get("Code", ""))
