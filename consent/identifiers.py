"""Identifiers of people: brought to one spelling, then known by a keyed digest only.

Pure. ``email`` is compared without regard to case; ``phone`` as ITU-T E.164 writes it, so it has
to begin with the country's code; every other scheme is a name that a data set's
owner gave, and its values are opaque: only what Unicode calls the same text (NFKC) is the same.
An address's local part is case-sensitive by RFC 5321, section 2.4, and nobody treats it so.
"""

import hmac
import re
import unicodedata
from collections.abc import Iterable
from typing import ClassVar

from governance.crypto import keyed_digest
from governance.errors import ColophonError

EMAIL = "email"
PHONE = "phone"
OPAQUE = "opaque"
MAX_LENGTH = 320  # the longest address of RFC 3696 (erratum 1690); enough for anything opaque
SCHEME = r"^[a-z][a-z0-9_]{0,31}$"

_SCHEME = re.compile(SCHEME.removesuffix("$") + r"\Z")
_EMAIL = re.compile(r"[^\s@]+@[^\s@]+\Z")
_SHA = "sha256"  # by name: a constructor would take hmac's slow way
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class IdentifierMalformedError(ColophonError):
    """The text cannot identify anybody. The message never repeats it."""

    code: ClassVar[str] = "identifier_malformed"
    status: ClassVar[int] = 400


def normalised(scheme: str, value: str) -> str:
    """Return the one spelling of an identifier, or raise `IdentifierMalformedError`."""
    known_scheme(scheme)
    return _spelt(scheme, value)


def _spelt(scheme: str, value: str) -> str:
    if scheme == PHONE:
        return _number(value)
    return _plain(scheme == EMAIL, value) or _checked(scheme, value)


def _plain(is_email: bool, value: str) -> str:
    """Return the spelling of what is plain ASCII and right, as most are; nothing otherwise.

    It says what `_checked` would say, at a fraction of the cost.
    """
    if not value.isascii() or len(value) > MAX_LENGTH:
        return ""
    text = value.strip()
    if is_email:
        local, _, domain = text.partition("@")
        if not (local and domain) or "@" in domain or " " in text:
            return ""
        text = text.lower()
    return text if text.isprintable() else ""


def _checked(scheme: str, value: str) -> str:
    if len(value) > MAX_LENGTH:
        raise IdentifierMalformedError(f"the identifier is longer than {MAX_LENGTH} characters")
    text = _same_text(value)
    if scheme == EMAIL:
        text = _same_text(text.casefold())
        if not _EMAIL.match(text):
            raise IdentifierMalformedError("the identifier is not an e-mail address")
    if not text:
        raise IdentifierMalformedError("the identifier is empty")
    if _UNPRINTABLE.search(text):
        raise IdentifierMalformedError("the identifier holds characters that cannot be printed")
    return text


def _number(value: str) -> str:
    """Return a telephone number as E.164 writes it: a plus and at most fifteen digits."""
    import phonenumbers

    text = _checked(OPAQUE, value)
    try:
        number = phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise IdentifierMalformedError(
            "the identifier is not a telephone number that begins with + and the country's code"
        ) from None
    if not phonenumbers.is_possible_number(number) or number.extension:
        raise IdentifierMalformedError("the identifier is not a possible telephone number")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def digest(key: bytes, scheme: str, value: str) -> bytes:
    """Return what an identifier is known by: equal for the same person, useless without the key."""
    return keyed_digest(key, f"{scheme}\0{normalised(scheme, value)}".encode())


def digests(key: bytes, scheme: str, values: Iterable[str]) -> list[bytes]:
    """Return the digest of each identifier, in order."""
    known_scheme(scheme)
    spelt = (_spelt(scheme, each) for each in values)
    return [hmac.digest(key, f"{scheme}\0{each}".encode(), _SHA) for each in spelt]


def laid_over(key: bytes, digests: Iterable[bytes]) -> list[bytes]:
    """Return the digest of each digest, in order: what a newer key makes of an older one's."""
    return [hmac.digest(key, each, _SHA) for each in digests]


def first_malformed(scheme: str, values: Iterable[str]) -> tuple[int, IdentifierMalformedError]:
    """Return the place of the first that cannot identify anybody, and why; there has to be one."""
    for place, each in enumerate(values):
        try:
            normalised(scheme, each)
        except IdentifierMalformedError as error:
            return place, error
    raise ValueError("none is malformed")


def known_scheme(scheme: str) -> str:
    """Return the scheme if it is a name, or raise `IdentifierMalformedError`."""
    if not _SCHEME.match(scheme):
        raise IdentifierMalformedError("the scheme is not a short lower-case name")
    return scheme


def _same_text(value: str) -> str:
    return unicodedata.normalize("NFKC", value).strip()
