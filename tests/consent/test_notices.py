"""What people are told, and that it stays what it was."""

import pytest
from django.db import IntegrityError, transaction

from consent.models import NoticeVersion
from consent.services import notices
from governance.errors import NotFoundError
from governance.models import LedgerRecord
from tests.factories.consent import NoticeVersionFactory
from tests.factories.governance import PurposeFactory

pytestmark = pytest.mark.django_db


def draft(**changed) -> NoticeVersion:
    said = {
        "key": "training", "language": "en", "title": "Training",
        "text": "We train.", "purposes": [PurposeFactory()],
    }  # fmt: skip
    return notices.draft(**said | changed)


def test_a_draft_is_written_anew_until_it_is_published():
    first = draft()
    second = draft(text="We train models.")
    assert (second.pk, second.number, second.text) == (first.pk, 1, "We train models.")
    published = notices.publish(uuid=second.uuid)
    assert published.published_at is not None
    third = draft(text="We train larger models.")
    assert (third.number, third.published_at) == (2, None)
    assert NoticeVersion.objects.get(number=1).text == "We train models."


def test_each_language_counts_for_itself():
    assert [draft(language=each).number for each in ("en", "de", "pt-BR")] == [1, 1, 1]


def test_publishing_again_changes_nothing():
    text = draft()
    first = notices.publish(uuid=text.uuid)
    again = notices.publish(uuid=text.uuid)
    assert again.published_at == first.published_at
    assert LedgerRecord.objects.filter(kind="notice.published").count() == 1


def test_a_notice_without_purpose_is_not_published():
    text = NoticeVersionFactory()
    with pytest.raises(notices.NoticeNamesNoPurposeError):
        notices.publish(uuid=text.uuid)
    text.refresh_from_db()
    assert text.published_at is None


def test_what_does_not_exist_is_not_published():
    with pytest.raises(NotFoundError):
        notices.publish(uuid="01890000-0000-7000-8000-000000000000")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: NoticeVersion.objects.filter(pk=text.pk).update(text="other"),
        lambda text: NoticeVersion.objects.filter(pk=text.pk).update(published_at=None),
        lambda text: NoticeVersion.objects.filter(pk=text.pk)._raw_delete("default"),
        lambda text: text.purposes.add(PurposeFactory()),
        lambda text: text.purposes.clear(),
        lambda text: text.purposes.through.objects.update(purpose=PurposeFactory()),
    ],
)
def test_the_database_refuses_to_change_what_was_published(change):
    text = notices.publish(uuid=draft().uuid)
    named = list(text.purposes.all())
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        change(text)
    assert refused.value.__cause__.sqlstate == "23001"
    kept = NoticeVersion.objects.get()
    assert (kept.text, kept.published_at) == ("We train.", text.published_at)
    assert list(kept.purposes.all()) == named
