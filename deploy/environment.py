"""Typed readers of the process environment; a bad value stops the start and says what to do."""

import base64
import binascii
import os
from collections.abc import Collection
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.core.exceptions import ImproperlyConfigured
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

MASTER_KEY_BYTES = 32


def required(name: str, hint: str) -> str:
    """Return a variable that has no default."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise ImproperlyConfigured(f"{name} is not set. {hint}")
    return value


def text(name: str, default: str) -> str:
    """Return a variable, or its default where it is empty or absent."""
    return os.environ.get(name, "").strip() or default


def words(name: str, default: str) -> list[str]:
    """Return a comma-separated variable as a list."""
    return [word.strip() for word in text(name, default).split(",") if word.strip()]


def flag(name: str, *, default: bool) -> bool:
    """Return a yes-or-no variable."""
    value = text(name, "yes" if default else "no").lower()
    if value in {"1", "yes", "true", "on"}:
        return True
    if value in {"0", "no", "false", "off"}:
        return False
    raise ImproperlyConfigured(f"{name} is neither yes nor no")


def number(name: str, default: int) -> int:
    """Return a whole-number variable."""
    value = text(name, str(default))
    try:
        return int(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name} is not a whole number") from None


def choice(name: str, default: str, choices: Collection[str]) -> str:
    """Return a variable that is one of a few words."""
    value = text(name, default).lower()
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is none of {', '.join(choices)}")
    return value


def time_zone(name: str, default: str) -> str:
    """Return a variable that names a time zone, as Europe/Berlin."""
    value = text(name, default)
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ImproperlyConfigured(f"{name} is not a time zone, as Europe/Berlin is one") from None
    return value


def master_key() -> bytes:
    """Return the 32 bytes that every other key is derived from."""
    value = required(
        "COLOPHON_MASTER_KEY",
        "Start through `sh deploy/run`, which makes one, or set it to 32 random bytes in base64 "
        "(openssl rand -base64 32) and keep it as safe as a backup.",
    )
    try:
        key = base64.b64decode(value, validate=True)
    except binascii.Error:
        key = b""
    if len(key) != MASTER_KEY_BYTES:
        raise ImproperlyConfigured("COLOPHON_MASTER_KEY is not 32 bytes in base64")
    return key


def database() -> dict[str, Any]:
    """Translate DATABASE_URL, read by libpq's own rules, into Django's settings."""
    url = required(
        "DATABASE_URL",
        "Start through `sh deploy/run`, which brings a PostgreSQL of its own, or set it to yours: "
        "postgresql://user:password@host:5432/name",
    )
    if urlsplit(url).scheme not in {"postgresql", "postgres"}:
        raise ImproperlyConfigured("DATABASE_URL does not start with postgresql://")
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError:
        raise ImproperlyConfigured("DATABASE_URL is not a PostgreSQL address") from None
    names = {"dbname": "NAME", "user": "USER", "password": "PASSWORD", "host": "HOST"}
    options = {key: value for key, value in parts.items() if key not in {*names, "port"}}
    return {
        "ENGINE": "django.db.backends.postgresql",
        **{setting: parts.get(key) or "" for key, setting in names.items()},
        "PORT": str(parts.get("port") or ""),
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": {"connect_timeout": 5, **options},
    }


def broker(url: str) -> str:
    """Return the address in Celery's spelling: it says redis+socket where redis-py says unix."""
    return "redis+socket" + url.removeprefix("unix") if url.startswith("unix://") else url
