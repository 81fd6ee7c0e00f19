import gzip

import pytest

from governance.errors import BodyTooLargeError
from governance.gzipped import MalformedGzipError, inflate

BODY = gzip.compress(b"a" * 1000)


def test_a_whole_member_within_the_limit_is_inflated():
    assert inflate(BODY, limit=1000) == b"a" * 1000


def test_one_byte_over_the_limit_is_too_large():
    with pytest.raises(BodyTooLargeError) as refusal:
        inflate(BODY, limit=999)
    assert (refusal.value.code, refusal.value.status) == ("body_too_large", 413)
    assert refusal.value.facts == {"limit": 999}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not gzip",
        BODY[:-1],
        BODY[:20],
        BODY + b"x",
        BODY + BODY,
        BODY[:-8] + bytes(8),
        b"\x78\x9c" + BODY[2:],
    ],
    ids=["empty", "text", "short", "cut", "trailing", "two members", "bad checksum", "zlib"],
)
def test_anything_but_one_whole_member_is_refused(body):
    with pytest.raises(MalformedGzipError) as refusal:
        inflate(body, limit=10_000)
    assert (refusal.value.code, refusal.value.status) == ("malformed_gzip", 400)


def test_a_bomb_is_refused_without_being_inflated():
    bomb = gzip.compress(bytes(50_000_000))
    with pytest.raises(BodyTooLargeError):
        inflate(bomb, limit=1000)
