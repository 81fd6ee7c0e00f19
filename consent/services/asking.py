"""Putting on record who asks what about a person, as a library notes who opens its register."""

from django.db import transaction

from consent.models import Subject
from governance.models import ApiClient
from governance.services import ledger


def put_on_record(*, subject: Subject, client: ApiClient, question: str) -> None:
    """Record that a client asks something about a person, before it is answered.

    It is a transaction of its own: an answer that fails was asked for all the same.
    """
    with transaction.atomic(durable=True):
        ledger.append(
            kind="subject.asked",
            facts={
                "client": str(client.uuid), "subject": str(subject.uuid), "question": question,
            },
        )  # fmt: skip
