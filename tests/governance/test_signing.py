"""Statements that anyone can check offline, and the keys that sign them."""

import json
from base64 import urlsafe_b64decode
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from threading import Barrier

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test import RequestFactory
from django.utils import timezone

from governance import signing as pure
from governance.api.signing_keys import jwks
from governance.models import LedgerRecord, SigningKey
from governance.selectors import signing as known
from governance.services import signing

CLAIMS = {"b": [1, "ä"], "a": None}
TYP = "test+json"


def parts(text: str) -> list[bytes]:
    return [urlsafe_b64decode(each + "=" * (-len(each) % 4)) for each in text.split(".")]


def keys(*pairs: pure.KeyPair) -> dict[str, bytes]:
    return pure.keys_in({"keys": [pure.public_jwk(each.public) for each in pairs]})


def refusal(text: str, *pairs: pure.KeyPair, typ: str = TYP) -> str:
    with pytest.raises(pure.ColophonError) as caught:
        pure.verify(text, typ=typ, keys=keys(*pairs))
    return caught.value.code


def test_a_statement_says_what_it_is_and_who_signed_it():
    pair = pure.new_pair()
    text = pure.sign(CLAIMS, typ=TYP, secret=pair.secret)
    header, payload, _ = parts(text)
    assert json.loads(header) == {
        "alg": "Ed25519", "kid": pure.thumbprint(pair.public), "typ": TYP,
    }  # fmt: skip
    assert payload == '{"a":null,"b":[1,"ä"]}'.encode()
    assert pure.verify(text, typ=TYP, keys=keys(pair)) == CLAIMS
    assert pure.sign(CLAIMS, typ=TYP, secret=pair.secret) == text


def test_the_signature_needs_no_library_of_ours_to_be_checked():
    pair = pure.new_pair()
    text = pure.sign(CLAIMS, typ=TYP, secret=pair.secret)
    key = Ed25519PublicKey.from_public_bytes(pair.public)
    signed, _, _ = text.rpartition(".")
    key.verify(parts(text)[2], signed.encode())
    with pytest.raises(InvalidSignature):
        key.verify(parts(text)[2], signed.encode() + b"x")


def test_the_name_of_a_key_is_the_thumbprint_of_rfc_8037():
    # The example of RFC 8037, appendix A.3.
    public = urlsafe_b64decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo=")
    assert pure.thumbprint(public) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert pure.public_jwk(public) == {
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k", "use": "sig", "alg": "Ed25519",
    }  # fmt: skip


def test_what_was_changed_or_signed_by_others_or_is_something_else_is_refused():
    pair, other = pure.new_pair(), pure.new_pair()
    text = pure.sign(CLAIMS, typ=TYP, secret=pair.secret)
    header, payload, signature = text.split(".")
    changed = pure.sign({"a": 1}, typ=TYP, secret=pair.secret).split(".")[1]
    assert refusal(f"{header}.{changed}.{signature}", pair) == "signature_wrong"
    forged = pure.sign(CLAIMS, typ=TYP, secret=other.secret).split(".")[2]
    assert refusal(f"{header}.{payload}.{forged}", pair) == "signature_wrong"
    assert refusal(text, other) == "signer_unknown"
    assert refusal(text, pair, typ="gate+jwt") == "statement_malformed"


@pytest.mark.parametrize(
    "text",
    ["", "a.b", "a.b.c.d", "ä.b.c", "e30.e30.", "bm90IGpzb24.e30.e30", "W10.e30.e30",
     "eyJhbGciOiJub25lIiwidHlwIjoidGVzdCtqc29uIn0.e30."],
)  # fmt: skip
def test_what_is_no_statement_is_refused(text):
    assert refusal(text, pure.new_pair()) == "statement_malformed"


def test_keys_of_other_kinds_are_passed_over_and_names_are_computed_not_believed():
    pair = pure.new_pair()
    said = {**pure.public_jwk(pair.public), "kid": "mine"}
    found = pure.keys_in({"keys": [said, {"kty": "RSA"}, "key"]})
    assert found == {pure.thumbprint(pair.public): pair.public}


@pytest.mark.parametrize(
    "document",
    [None, [], {}, {"keys": {}}, {"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AA"}]}],
)
def test_what_is_no_key_set_is_refused(document):
    with pytest.raises(pure.MalformedKeysError):
        pure.keys_in(document)


@pytest.mark.django_db
def test_the_first_signature_makes_the_first_key():
    text = signing.sign(CLAIMS, typ=TYP)
    key = SigningKey.objects.get()
    assert (key.active_until, key.withdrawn_at) == (None, None)
    assert pure.verify(text, typ=TYP, keys=known.public_keys()) == CLAIMS
    assert LedgerRecord.objects.get().kind == "signing_key.made"
    signing.sign(CLAIMS, typ=TYP)
    assert SigningKey.objects.count() == 1


@pytest.mark.django_db
def test_the_secret_half_lies_sealed():
    key = signing.first_key()
    with connection.cursor() as cursor:
        cursor.execute("SELECT sealed FROM governance_signingkey")
        sealed = bytes(cursor.fetchone()[0])
    secret = signing.organisation_key().open(sealed, f"governance_signingkey/{key.kid}")
    assert len(secret) == 32
    assert secret not in sealed


@pytest.mark.django_db
def test_the_next_key_is_published_an_hour_before_it_signs():
    first = signing.first_key()
    before = signing.sign(CLAIMS, typ=TYP)
    rotation = signing.rotate()
    assert rotation.created
    first.refresh_from_db()
    assert first.active_until == rotation.key.active_from
    assert signing.sign(CLAIMS, typ=TYP) == before
    later = timezone.now() + timedelta(hours=1, minutes=1)
    after = signing.sign(CLAIMS, typ=TYP, at=later)
    published = known.public_keys()
    assert list(published) == [rotation.key.kid, first.kid]
    assert all(pure.verify(each, typ=TYP, keys=published) == CLAIMS for each in (before, after))
    assert json.loads(parts(after)[0])["kid"] == rotation.key.kid
    again = signing.rotate()
    assert (again.key, again.created) == (rotation.key, False)


@pytest.mark.django_db
def test_a_key_can_change_at_once_and_what_signed_before_is_destroyed_by_the_next_change():
    first = signing.first_key()
    waiting = signing.rotate().key
    taken = signing.rotate(at_once=True)
    assert (taken.key, taken.created) == (waiting, False)
    assert known.active(timezone.now()) == waiting
    signing.rotate()
    first.refresh_from_db()
    waiting.refresh_from_db()
    assert first.sealed is None
    assert waiting.sealed is not None


@pytest.mark.django_db
def test_what_a_withdrawn_key_signed_is_not_believed_and_another_follows():
    first = signing.first_key()
    text = signing.sign(CLAIMS, typ=TYP)
    signing.withdraw(kid=first.kid)
    first.refresh_from_db()
    assert first.sealed is None
    with pytest.raises(pure.UnknownSignerError):
        pure.verify(text, typ=TYP, keys=known.public_keys())
    assert json.loads(parts(signing.sign(CLAIMS, typ=TYP))[0])["kid"] != first.kid
    with pytest.raises(signing.SigningKeyWithdrawnError):
        signing.withdraw(kid=first.kid)
    with pytest.raises(signing.NotFoundError):
        signing.withdraw(kid="nobody's")


@pytest.mark.django_db
def test_when_the_next_key_is_withdrawn_the_present_one_goes_on():
    first = signing.first_key()
    signing.withdraw(kid=signing.rotate().key.kid)
    first.refresh_from_db()
    assert first.active_until is None
    assert list(known.public_keys()) == [first.kid]


@pytest.mark.django_db
def test_everybody_may_read_and_keep_the_published_keys():
    answer = jwks(RequestFactory().get("/.well-known/jwks.json"))
    key = SigningKey.objects.get()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/jwk-set+json"
    assert answer.headers["Cache-Control"] == "public, max-age=3600"
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert json.loads(answer.content) == {"keys": [pure.public_jwk(bytes(key.public))]}
    assert "d" not in json.loads(answer.content)["keys"][0]


def broken(constraint: str, **changed) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        SigningKey.objects.filter(pk=signing.first_key().pk).update(**changed)


@pytest.mark.django_db
def test_the_database_refuses_a_key_that_could_not_be_one():
    now = timezone.now()
    broken("governance_signingkey_secret_is_sealed", sealed=b"short")
    broken("governance_signingkey_ends_after_it_begins", active_until=now - timedelta(days=1))
    broken("governance_signingkey_withdrawn_signs_no_more", withdrawn_at=now)
    broken("governance_signingkey_active_has_a_secret", sealed=None)
    with pytest.raises(IntegrityError, match="governance_signingkey_public_is_a_key"):
        SigningKey.objects.create(
            kid="k", public=b"short", sealed=b"s" * 60, active_from=now - timedelta(days=2),
            active_until=now - timedelta(days=1),
        )  # fmt: skip


@pytest.mark.django_db
def test_one_key_signs_at_a_time():
    signing.first_key()
    with pytest.raises(IntegrityError, match="governance_signingkey_one_at_a_time"):
        SigningKey.objects.create(
            kid="k", public=b"p" * 32, sealed=b"s" * 60, active_from=timezone.now()
        )


@pytest.mark.django_db
@pytest.mark.parametrize("changed", [{"kid": "other"}, {"public": b"p" * 32}])
def test_what_a_key_is_never_changes(changed):
    signing.first_key()
    broken("a signing key is never changed or deleted", **changed)
    with pytest.raises(IntegrityError), transaction.atomic():
        SigningKey.objects.all().delete()


@pytest.mark.django_db
def test_an_operator_changes_and_withdraws_keys():
    out = StringIO()
    call_command("rotate_signing_key", "--json", stdout=out)
    told = json.loads(out.getvalue())
    assert (told["created"], told["active_until"]) == (True, None)
    out = StringIO()
    call_command("rotate_signing_key", "--withdraw", told["kid"], stdout=out)
    assert out.getvalue() == (
        f"The key {told['kid']} is withdrawn. Issue anew what it had signed.\n"
    )
    with pytest.raises(CommandError, match="there is no such signing key"):
        call_command("rotate_signing_key", "--withdraw", "x")


@pytest.mark.django_db(transaction=True)
def test_many_who_sign_first_at_once_make_one_key():
    start = Barrier(4)

    def first(_: int) -> str:
        start.wait()
        try:
            return signing.first_key().kid
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(first, range(4)))) == 1
    assert SigningKey.objects.count() == 1
