"""What reading and writing files raises, as our errors about a named file.

Messages of libraries may quote cells and full paths, so nothing of them is kept.
"""

import csv
import errno
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import pyarrow as pa

from consent.connectors import base
from consent.connectors.formats import MisfitError, NoSubjectColumnError

# Packages beneath fsspec's drivers whose errors reach us as they are. By name: none is required.
_DRIVERS: Final = {"aiohttp", "azure", "botocore", "gcsfs", "google", "paramiko", "requests"}


@contextmanager
def translated(name: str, column: str, *, writing: bool = False) -> Iterator[None]:
    """Turn what stores and formats raise into a ``ConnectorError`` about this file."""
    try:
        yield
    except NoSubjectColumnError as error:
        kind: type[base.ConnectorError] = base.SubjectColumnMissingError
        there = f"{error} of {name}" if str(error) else name
        text = f"Register the column of {there} that identifies people: not one is named {column}."
    except MisfitError as error:
        kind, text = base.StorageUnreadableError, f"For {name}: {error}, then try again."
    except OSError as error:
        kind, text = _cause(error, name, writing=writing)
    except (pa.ArrowException, csv.Error, zlib.error, EOFError, UnicodeError):
        kind, text = _damaged(name)
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in _DRIVERS:
            raise
        kind, text = _unreachable(name)
    else:
        return
    raise kind(text) from None


def _cause(error: OSError, name: str, *, writing: bool) -> tuple[type[base.ConnectorError], str]:
    if isinstance(error, FileNotFoundError):
        return base.StorageMissingError, f"Restore {name} or unregister it: it does not exist."
    if isinstance(error, PermissionError) or error.errno == errno.EROFS:
        if writing:
            text = f"Let the service's account replace {name} and keep its owner, then try again."
            return base.StorageReadOnlyError, text
        return base.StorageUnreadableError, f"Let the service's account read {name}."
    # Arrow's and gzip's way to say that the content makes no sense.
    if type(error) in {OSError, gzip.BadGzipFile} and error.errno is None:
        return _damaged(name)
    return _unreachable(name)


def _unreachable(name: str) -> tuple[type[base.ConnectorError], str]:
    text = f"Check the connection to the storage of {name}, its credentials and the space on it."
    return base.StorageUnreachableError, text


def _damaged(name: str) -> tuple[type[base.ConnectorError], str]:
    text = f"Restore {name} from its source or unregister it: its content cannot be read."
    return base.StorageUnreadableError, text
