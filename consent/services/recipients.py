"""Keep who received which data and models, and where they are told of people's requests."""

import base64
import os
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import ClassVar

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from consent.identifiers import known_scheme
from consent.models import Disclosure, Recipient
from consent.selectors.recipients import secret_place, url_of, url_place
from governance import outbound
from governance.errors import ColophonError
from governance.keys import organisation_key
from governance.models import Dataset, Model
from governance.services import ledger

SECRET_BYTES = 32
OVERLAP = timedelta(days=1)


class RecipientAddressUnusableError(ColophonError):
    """The address is none that can be told anything."""

    code: ClassVar[str] = "recipient_address_unusable"
    status: ClassVar[int] = 422


class RecipientEndedError(ColophonError):
    """Nothing is sent to this recipient any more."""

    code: ClassVar[str] = "recipient_ended"
    status: ClassVar[int] = 409


@dataclass(frozen=True, slots=True)
class Registered:
    """A recipient, whether it is new, and a new secret, which is shown this once."""

    recipient: Recipient
    created: bool = False
    secret: str = field(repr=False, default="")


@transaction.atomic
def register(
    *,
    name: str,
    url: str,
    scheme: str,
    datasets: Collection[Dataset] = (),
    models: Collection[Model] = (),
) -> Registered:
    """Register a recipient, or state the facts of the one of that name anew.

    What was received only grows. Raises `RecipientAddressUnusableError`, `RecipientEndedError`
    and `IdentifierMalformedError`. The name is not resolved here: what it leads to is checked
    each time something is sent.
    """
    known_scheme(scheme)
    host = _host(url)
    recipient, created = Recipient.objects.select_for_update().get_or_create(
        name=name, defaults={"host": host, "scheme": scheme, "url_sealed": b""}
    )
    if recipient.ended_at is not None:
        raise RecipientEndedError("nothing is sent to this recipient any more: use another name")
    changed = created or recipient.scheme != scheme or url_of(recipient) != url
    if changed:
        recipient.url_sealed = organisation_key().seal(url.encode(), url_place(recipient))
        recipient.host, recipient.scheme = host, scheme
        recipient.save(update_fields=["host", "scheme", "url_sealed"])
    if _disclose(recipient, datasets, models) or changed:
        facts = {
            "recipient": str(recipient.uuid), "name": name, "host": host, "scheme": scheme,
            "datasets": sorted(str(each.uuid) for each in datasets),
            "models": sorted(str(each.uuid) for each in models),
        }  # fmt: skip
        kind = "recipient.registered" if created else "recipient.changed"
        ledger.append(kind=kind, facts=facts)
    return Registered(recipient, created, _new_secret(recipient) if created else "")


@transaction.atomic
def renew_secret(*, recipient: Recipient) -> Registered:
    """Make a new secret; for a day the one before signs and is believed as well."""
    held = Recipient.objects.select_for_update().get(pk=recipient.pk)
    if held.ended_at is not None:
        raise RecipientEndedError("nothing is sent to this recipient any more")
    held.secrets.filter(ends_at=None).update(ends_at=timezone.now() + OVERLAP)
    ledger.append(kind="recipient.secret_renewed", facts={"recipient": str(held.uuid)})
    return Registered(held, secret=_new_secret(held))


@transaction.atomic
def end(*, recipient: Recipient) -> None:
    """Send nothing there any more; what they received stays on record. Twice is harmless."""
    found = Recipient.objects.filter(pk=recipient.pk, ended_at=None)
    if found.update(ended_at=timezone.now()):
        ledger.append(kind="recipient.ended", facts={"recipient": str(recipient.uuid)})


def _host(url: str) -> str:
    try:
        parts = outbound.parts_of(url, private=settings.COLOPHON_PRIVATE_WEBHOOKS)
    except ValueError as error:
        raise RecipientAddressUnusableError(str(error)) from None
    return parts.hostname or ""


def _disclose(
    recipient: Recipient, datasets: Collection[Dataset], models: Collection[Model]
) -> int:
    known: set[tuple[int | None, int | None]] = set(
        recipient.disclosures.values_list("dataset_id", "model_id")
    )
    wanted: set[tuple[int | None, int | None]] = {(each.pk, None) for each in datasets} | {
        (None, each.pk) for each in models
    }
    new = sorted(wanted - known, key=str)
    Disclosure.objects.bulk_create(
        Disclosure(recipient=recipient, dataset_id=dataset, model_id=model)
        for dataset, model in new
    )
    return len(new)


def _new_secret(recipient: Recipient) -> str:
    raw = os.urandom(SECRET_BYTES)
    recipient.secrets.create(sealed=organisation_key().seal(raw, secret_place(recipient)))
    return f"whsec_{base64.b64encode(raw).decode()}"
