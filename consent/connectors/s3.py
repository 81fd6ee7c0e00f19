"""How the address of an S3 bucket carries its settings, so that they are sealed with it.

``s3://KEY:SECRET@bucket/prefix?endpoint_url=https://store.example&region=eu-central-1``; key and
secret are percent-encoded. What is left out comes from the environment, as everywhere in AWS.
"""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from consent.connectors.base import StorageUnreadableError

SCHEMES: Final = frozenset({"s3", "s3a"})
# Seconds are few and attempts too, since the step is tried again anyway.
_PATIENCE: Final = {"connect_timeout": 5, "read_timeout": 30, "retries": {"max_attempts": 2}}
_SETTINGS: Final = frozenset({"endpoint_url", "region"})


@dataclass(frozen=True)
class S3Address:
    """A bucket or a prefix in it; every setting may be empty."""

    url: str
    key: str
    secret: str = field(repr=False)
    endpoint_url: str
    region: str

    def for_fsspec(self) -> dict[str, object]:
        """Return the options of s3fs."""
        settings = {"key": self.key, "secret": self.secret, "endpoint_url": self.endpoint_url}
        options: dict[str, object] = {name: value for name, value in settings.items() if value}
        options["config_kwargs"] = _PATIENCE
        if self.region:
            options["client_kwargs"] = {"region_name": self.region}
        return options

    def for_rust(self) -> dict[str, str]:
        """Return the options of the object_store crate, which Delta Lake speaks through."""
        settings = {
            "aws_access_key_id": self.key,
            "aws_secret_access_key": self.secret,
            "aws_endpoint_url": self.endpoint_url,
            "aws_region": self.region,
        }
        options = {name: value for name, value in settings.items() if value}
        if self.endpoint_url.startswith("http://"):
            options["aws_allow_http"] = "true"
        return options


def s3_address(address: str) -> S3Address:
    """Take an address apart; raise ``StorageUnreadableError`` for settings we do not know."""
    try:
        parts = urlsplit(address)
        settings = dict(parse_qsl(parts.query, keep_blank_values=True))
        bucket = parts.hostname and parts.netloc.rpartition("@")[2]
    except ValueError:
        bucket, settings = "", {}
    if not bucket or settings.keys() - _SETTINGS:
        raise StorageUnreadableError(
            "Register the storage as s3://bucket/prefix, with nothing but endpoint_url and region "
            "behind a question mark."
        )
    return S3Address(
        url=f"s3://{bucket}{parts.path}",
        key=unquote(parts.username or ""),
        secret=unquote(parts.password or ""),
        endpoint_url=settings.get("endpoint_url", ""),
        region=settings.get("region", ""),
    )
