"""To whom the service may speak: the addresses behind a name, checked before it connects.

What is checked is what is connected to: a name that answers otherwise a moment later (DNS
rebinding) changes nothing. Addresses of the local network need the owner's leave; those that mean
a machine's own metadata service, many machines or none are never spoken to.
"""

import ipaddress
import socket
from urllib.parse import SplitResult

from consent.connectors.base import StorageUnreachableError, StorageUnreadableError

PORTS = {"http": 80, "https": 443}


def address_behind(url: SplitResult, *, private: bool) -> str:
    """Return an address to connect to; raise unless every one behind the name is allowed."""
    if url.scheme != "https" and not (url.scheme == "http" and private):
        raise StorageUnreadableError(
            "Register the endpoint with https, or allow a private network by #private."
        )
    try:
        found = socket.getaddrinfo(
            url.hostname, url.port or PORTS[url.scheme], type=socket.SOCK_STREAM
        )
    except (OSError, UnicodeError):
        raise StorageUnreachableError(
            "Check the name of the endpoint's host: it cannot be resolved."
        ) from None
    addresses = [str(each[4][0]) for each in found]
    if not all(_allowed(each, private=private) for each in addresses):
        raise StorageUnreadableError(
            "Register an endpoint on a public address, or allow a private network by #private."
        )
    return addresses[0]


def _allowed(text: str, *, private: bool) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return address.is_global or (private and (address.is_private or address.is_loopback))
