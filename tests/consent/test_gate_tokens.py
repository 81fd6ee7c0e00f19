"""The gate's answer as a token that speaks for one use and no other."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from consent import gate_tokens
from consent.gate_tokens import Mismatch, Token, Use
from governance import signing

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
LOANS, OLD, NEW = UUID(int=1), UUID(int=2), UUID(int=3)
MODEL = ("models", "what-to-read-next")
TOKEN = Token(
    decision=UUID(int=9), outcome="permit_with_exclusions", purpose="suggestions", model=MODEL,
    inputs=gate_tokens.inputs([(LOANS, OLD)]), issued_at=NOON,
    expires_at=NOON + timedelta(hours=1),
)  # fmt: skip
USE = Use(purposes=["suggestions"], model=MODEL, read={LOANS: [OLD]}, begun_at=NOON)


def test_the_claims_say_what_was_asked_and_what_came_out():
    assert gate_tokens.claims_of(TOKEN, issuer="https://colophon.example.org") == {
        "iss": "https://colophon.example.org",
        "jti": "00000000-0000-0000-0000-000000000009",
        "iat": 1772366400,
        "exp": 1772370000,
        "outcome": "permit_with_exclusions",
        "purpose": "suggestions",
        "model": {"namespace": "models", "name": "what-to-read-next"},
        "inputs": [
            {"dataset": "00000000-0000-0000-0000-000000000001",
             "version": "00000000-0000-0000-0000-000000000002"},
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    "token", [TOKEN, replace(TOKEN, model=None, purpose=None, outcome="deny", inputs=())]
)
def test_a_signed_token_comes_back_as_it_went(token):
    pair = signing.new_pair()
    claims = gate_tokens.claims_of(token, issuer="here")
    text = signing.sign(claims, typ=gate_tokens.TYP, secret=pair.secret)
    keys = signing.keys_in({"keys": [signing.public_jwk(pair.public)]})
    assert gate_tokens.token_in(signing.verify(text, typ=gate_tokens.TYP, keys=keys)) == token
    with pytest.raises(signing.MalformedStatementError):
        signing.verify(text, typ="consent-receipt+json", keys=keys)


def test_a_token_is_written_the_same_whatever_the_order_of_the_data_sets():
    pairs = [(NEW, OLD), (LOANS, NEW)]
    one, other = (replace(TOKEN, inputs=gate_tokens.inputs(each)) for each in (pairs, pairs[::-1]))
    assert gate_tokens.claims_of(one, issuer="i") == gate_tokens.claims_of(other, issuer="i")


@pytest.mark.parametrize(
    "changed",
    [
        {"jti": "x"}, {"jti": 1}, {"jti": None}, {"iat": "now"}, {"exp": 1e300}, {"exp": True},
        {"exp": 10**18}, {"outcome": None}, {"purpose": 1}, {"inputs": 1}, {"inputs": [1]},
        {"inputs": [{}]}, {"inputs": None}, {"model": "m"},
        {"model": {"namespace": 1, "name": "m"}},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_claims_that_are_no_answer_are_refused(changed):
    claims = gate_tokens.claims_of(TOKEN, issuer="here") | changed
    with pytest.raises(gate_tokens.MalformedGateTokenError):
        gate_tokens.token_in(claims)


@pytest.mark.parametrize("name", ["jti", "iat", "exp", "outcome", "purpose", "inputs"])
def test_a_claim_that_is_missing_is_refused(name):
    claims = gate_tokens.claims_of(TOKEN, issuer="here")
    del claims[name]
    with pytest.raises(gate_tokens.MalformedGateTokenError):
        gate_tokens.token_in(claims)


def test_a_token_speaks_for_the_use_that_was_asked_about():
    assert gate_tokens.mismatches(TOKEN, USE) == []
    begun = replace(USE, begun_at=TOKEN.expires_at - timedelta(seconds=1))
    assert gate_tokens.mismatches(TOKEN, begun) == []
    assert gate_tokens.mismatches(replace(TOKEN, model=None), replace(USE, model=("a", "b"))) == []
    assert gate_tokens.mismatches(TOKEN, replace(USE, read={})) == []


@pytest.mark.parametrize(
    ("token", "use", "found"),
    [
        (replace(TOKEN, outcome="deny"), USE, Mismatch.CLOSED),
        (replace(TOKEN, outcome="gap"), USE, Mismatch.CLOSED),
        (TOKEN, replace(USE, begun_at=TOKEN.expires_at), Mismatch.EXPIRED),
        (TOKEN, replace(USE, purposes=["suggestions", "sale"]), Mismatch.OTHER_PURPOSE),
        (TOKEN, replace(USE, purposes=[]), Mismatch.OTHER_PURPOSE),
        (TOKEN, replace(USE, model=("models", "other")), Mismatch.OTHER_MODEL),
        (TOKEN, replace(USE, model=None), Mismatch.OTHER_MODEL),
        (TOKEN, replace(USE, read={LOANS: [OLD], NEW: [OLD]}), Mismatch.OTHER_DATASET),
        (TOKEN, replace(USE, read={LOANS: [NEW]}), Mismatch.OTHER_VERSION),
        (TOKEN, replace(USE, read={LOANS: [OLD, NEW]}), Mismatch.OTHER_VERSION),
    ],
)
def test_a_token_does_not_speak_for_anything_else(token, use, found):
    assert gate_tokens.mismatches(token, use) == [found]
