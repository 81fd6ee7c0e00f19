"""An object store, or whatever else fsspec reaches, where one upload replaces a file at once.

The file is copied here, into a nameless temporary file that even a killed process cannot leave
behind. A store without locks cannot exclude a writer in the moment of the upload; one that came
before it is noticed. Tags, headers and older versions of an object are the store's own.
"""

import glob
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import BinaryIO, cast

import fsspec

from consent.connectors.base import StorageBusyError, StorageUnreadableError
from consent.connectors.store import Rewrite, relative


class Objects:
    """Keys below one prefix."""

    def __init__(self, address: str) -> None:
        scheme = address.partition("://")[0]
        try:
            # Neither instances nor listings are kept: what is asked must be read.
            self._fs, root = fsspec.core.url_to_fs(
                address, skip_instance_cache=True, use_listings_cache=False
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
        seen = self._fs.ukey(key)
        with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as draft:
            with self.reading(name) as remote:
                shutil.copyfileobj(remote, source, 1 << 20)
            yield Rewrite(source, draft, partial(self._publish, draft, key, seen, name))

    def sweep(self, names: Iterable[str]) -> None:
        """Do nothing: no draft is ever in the store."""

    def _publish(self, draft: BinaryIO, key: str, seen: str, name: str) -> None:
        draft.seek(0)
        # Closing a file would commit half an upload; a transaction discards it when anything fails.
        with self._fs.transaction:
            with self._fs.open(key, "wb") as upload:
                shutil.copyfileobj(draft, upload, 1 << 20)
            if self._fs.ukey(key) != seen:
                raise StorageBusyError(
                    f"Others changed {name} meanwhile; nothing was changed, it is tried again."
                )

    def _key(self, name: str, root: str | None = None) -> str:
        return f"{self._root if root is None else root}/{name}"
