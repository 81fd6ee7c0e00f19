"""JSON (RFC 8259) as strictly as PostgreSQL's jsonb and RFC 8785 will need it later.

What Python would accept and the database refuse, or what means different things to different
readers, is refused here. Every check is one pass in C over the bytes; the ones that are seldom
needed are bought only when a cheap look at the body says that they may be. So a plain body is
read by orjson, and only one that is not, or is wrong, by the exact and slower way.
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, TypeAlias

import orjson

from governance.errors import ColophonError

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"

MAX_DIGITS = 100
_LONG_INTEGER = re.compile(r"-?[0-9]{101}")
_TELLTALE = re.compile(rb"\\u00(?:00|3[aA])")  # U+0000, or a colon that no count would see
_TOKENS = (b"[", b"{", b",", b":")
_STRING = re.compile(rb'"[^"]*"')
_EVERY_BYTE = bytes(range(256))
_NOT_BRACKETS = _EVERY_BYTE.translate(None, b'"[]{}')
_NOT_SEPARATORS = _EVERY_BYTE.translate(None, b'",:[{')
_SQUARE = bytes.maketrans(b"{}", b"[]")
_NUMERIC = bytes.maketrans(b"123456789E", b"000000000e")


class MalformedJSONError(ColophonError):
    """The body is not JSON, or is JSON that could not be stored or read the same by everyone."""

    code = "malformed_json"
    status = 400


def loads(body: bytes, *, max_depth: int = 32, max_tokens: int = 500_000) -> Any:
    """Return the value of a UTF-8 JSON text, a `JSON`, or raise `MalformedJSONError`.

    ``max_depth`` counts nested arrays and objects; ``max_tokens`` counts brackets, commas and
    colons. The message says what is wrong and where, and quotes nothing from the body.
    """
    plain = _plainly(body, max_depth, max_tokens)
    if plain is not None:
        return plain
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJSONError(f"the body is not UTF-8 at byte {error.start}") from None
    # Without escaped backslashes, a backslash that is left begins an escape.
    bare = body.replace(b"\\\\", b"") if b"\\" in body else body
    if b"\\u0000" in bare:
        raise MalformedJSONError("a string holds the character U+0000")
    _refuse_size(bare, max_depth, max_tokens)
    huge = _may_hold_huge_number(bare)
    value = _decoded(_CAREFUL if huge else _USUAL, text, max_depth)
    if huge or b"\\ud" in bare or b"\\uD" in bare:
        _refuse_unwritable(value)
    return value


def _plainly(body: bytes, max_depth: int, max_tokens: int) -> Any:
    """Return the value of an object or array that is certainly harmless, or None.

    orjson itself refuses bad UTF-8, halves of surrogate pairs, infinities and what is not JSON. The
    value written again, indented, tells the rest. It has as many colons as the text unless a key
    stood twice (no colon is escaped here), and a line indented by ``max_depth`` steps only where
    the value is nested at least so deep. An integer that orjson would round has 19 digits or more.
    """
    if b"\\u00" in body and _TELLTALE.search(body):
        return None
    if b"0" * 19 in body.translate(_NUMERIC):
        return None
    if len(body) > max_tokens and sum(map(body.count, _TOKENS)) > max_tokens:
        return None
    try:
        value = orjson.loads(body)
        written = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except (orjson.JSONDecodeError, TypeError):  # wrong, or deeper than it writes
        return None
    if written.count(b":") != body.count(b":") or b"\n" + b"  " * max_depth in written:
        return None
    return value if isinstance(value, dict | list) else None


def _decoded(decoder: json.JSONDecoder, text: str, max_depth: int) -> Any:
    try:
        return decoder.decode(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise MalformedJSONError(f"the body is not JSON at {where}") from None
    except RecursionError:  # unbalanced brackets, which `_refuse_size` leaves to the parser
        raise _too_deep(max_depth) from None


def _refuse_size(bare: bytes, max_depth: int, max_tokens: int) -> None:
    """Bound tokens and depth; look behind strings only where a plain count is over the bound."""
    openers = bare.count(b"[") + bare.count(b"{")
    tokens = openers + bare.count(b",") + bare.count(b":")
    if tokens > max_tokens and len(_outside_strings(bare, _NOT_SEPARATORS)) > max_tokens:
        raise MalformedJSONError(f"the body has more than {max_tokens} tokens")
    if openers <= max_depth:
        return
    brackets = _outside_strings(bare, _NOT_BRACKETS).translate(_SQUARE)
    if b"[" * (max_depth + 1) in brackets:
        raise _too_deep(max_depth)
    for _ in range(max_depth):
        closed = brackets.replace(b"[]", b"")
        if len(closed) == len(brackets):
            return  # all closed; or unbalanced, and the parser says where
        brackets = closed
    if brackets:
        raise _too_deep(max_depth)


def _outside_strings(bare: bytes, unwanted: bytes) -> bytes:
    """Return what stands outside strings, without the ``unwanted`` characters.

    Once escaped quotes are gone, every quote opens or closes a string. Removing an empty pair
    may join two neighbours, but it never changes what is inside and what is outside.
    """
    marks = bare.replace(b'\\"', b"").translate(None, unwanted).replace(b'""', b"")
    return _STRING.sub(b"", marks) if b'"' in marks else marks


def _may_hold_huge_number(bare: bytes) -> bool:
    """Tell whether a double could overflow: a three-digit exponent or a very long mantissa."""
    shapes = bare.translate(_NUMERIC, b"+")
    return b"e000" in shapes or b"0" * (MAX_DIGITS + 1) in shapes


def _refuse_unwritable(value: Any) -> None:
    """Refuse infinities and lone surrogates: writing the value again fails on exactly these."""
    try:
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise MalformedJSONError("a string holds half of a surrogate pair") from None
    except ValueError:
        raise MalformedJSONError("a number is too large for a double") from None


def _too_deep(max_depth: int) -> MalformedJSONError:
    return MalformedJSONError(f"the body is nested deeper than {max_depth} levels")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise MalformedJSONError("an object names a key twice")
    return found


def _integer(digits: str) -> int:
    if _LONG_INTEGER.match(digits):
        raise MalformedJSONError(f"an integer has more than {MAX_DIGITS} digits")
    return int(digits)


def _constant(_name: str) -> NoReturn:
    raise MalformedJSONError("NaN and Infinity are not JSON")


_USUAL = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
_CAREFUL = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer)
