"""Servers that the user names: ask whether they answer before anything else is done.

Messages name the variable, host, port and database. They never repeat an address, which may hold
a password, nor what a library says of one that it cannot parse.
"""

import contextlib
from urllib.parse import SplitResult, urlsplit

import psycopg
import redis
from psycopg.conninfo import conninfo_to_dict

from deploy.devstack.errors import DevstackError

SECONDS = 5
OLDEST_POSTGRES = 150000


def verify_database(url: str) -> None:
    """Open a session at DATABASE_URL; DevstackError where that fails or it is too old."""
    try:
        parts = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise DevstackError(
            "DATABASE_URL is not an address of PostgreSQL. Its form is "
            "postgresql://user:password@host:5432/name; unset it to use the embedded server."
        ) from None
    place = (
        f"host {parts.get('host') or 'localhost'}, port {parts.get('port') or 5432}, "
        f"database {parts.get('dbname') or parts.get('user')}"
    )
    try:
        with psycopg.connect(url, connect_timeout=SECONDS) as session:
            version = session.info.server_version
    except psycopg.Error as error:
        raise DevstackError(
            f"DATABASE_URL is set, but its PostgreSQL cannot be used ({place}): "
            f"{_reason(error, parts.get('password'))}. Start that server, correct the variable, "
            "or unset it to use the embedded server."
        ) from None
    if version < OLDEST_POSTGRES:
        raise DevstackError(
            f"DATABASE_URL leads to PostgreSQL {version // 10000} ({place}); 15 or newer is needed."
        )


def verify_redis(url: str) -> None:
    """Send a PING to REDIS_URL; DevstackError where no answer comes."""
    try:
        parts = urlsplit(url)
        place = parts.path if parts.scheme == "unix" else _host_and_port(parts)
        client = redis.Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS)
    except ValueError:
        raise DevstackError(
            "REDIS_URL is not an address of Redis or Valkey. Its form is redis://host:6379/0 or "
            "unix:///path/to/socket?db=0; unset it to use the embedded server."
        ) from None
    with contextlib.closing(client):
        try:
            client.ping()
        except redis.RedisError as error:
            raise DevstackError(
                f"REDIS_URL is set, but its server cannot be used ({place}): "
                f"{_reason(error, parts.password)}. Start that server, correct the variable, or "
                "unset it to use the embedded server."
            ) from None


def _host_and_port(parts: SplitResult) -> str:
    return f"host {parts.hostname or 'localhost'}, port {parts.port or 6379}"


def _reason(error: Exception, password: object) -> str:
    first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
    return first.replace(str(password), "***") if password else first
