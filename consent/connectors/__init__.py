"""Erasure reaches the storages through connectors, one per kind.

To add one: write its module, register it below, and let a test class run the shared contract.
"""

from pkgutil import resolve_name
from typing import Final

from consent.connectors.base import Connector, StorageKindUnknownError

# By name, so that pyarrow and SQLAlchemy are loaded by those who use them and not at start-up.
_CONNECTORS: Final = {
    "delta": "consent.connectors.delta:DeltaConnector",
    "files": "consent.connectors.files:FilesConnector",
    "http": "consent.connectors.http:HttpConnector",
    "iceberg": "consent.connectors.iceberg:IcebergConnector",
    "manual": "consent.connectors.manual:ManualConnector",
    "sql": "consent.connectors.sql:SqlConnector",
}


def connector_for(kind: str) -> Connector:
    """Return the connector for a kind of storage, or raise ``StorageKindUnknownError``."""
    if kind not in _CONNECTORS:
        known = ", ".join(sorted(_CONNECTORS))
        raise StorageKindUnknownError(f"Register the storage as one of these kinds: {known}.")
    connector: Connector = resolve_name(_CONNECTORS[kind])()
    return connector
