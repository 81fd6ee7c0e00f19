import pytest

from governance import pages
from governance.models import Dataset, Purpose
from tests.factories.governance import DatasetFactory

pytestmark = pytest.mark.django_db


def test_pages_cover_a_list_once_in_order_though_rows_come_and_go():
    made = DatasetFactory.create_batch(5)
    first = pages.page(Dataset.objects.all(), limit=2)
    assert first.results == made[:2]
    made[0].delete()
    late = DatasetFactory()
    second = pages.page(Dataset.objects.all(), limit=2, cursor=first.next)
    third = pages.page(Dataset.objects.all(), limit=2, cursor=second.next)
    assert second.results == made[2:4]
    assert (third.results, third.next) == ([made[4], late], None)


def test_the_last_page_has_no_next_one():
    DatasetFactory.create_batch(2)
    assert pages.page(Dataset.objects.all(), limit=2).next is None
    assert pages.page(Purpose.objects.all()) == pages.Page([], None)


def test_a_page_is_never_larger_than_the_bound(django_assert_num_queries):
    DatasetFactory.create_batch(3)
    with django_assert_num_queries(1) as queries:
        pages.page(Dataset.objects.all(), limit=10_000)
    assert queries[0]["sql"].endswith("LIMIT 201")
    assert len(pages.page(Dataset.objects.all(), limit=-3).results) == 1


@pytest.mark.parametrize("cursor", ["", "nonsense", "a:b:c", "\x00", "WyJhIl0:x:y"])
def test_a_cursor_that_was_not_given_out_is_refused(cursor):
    with pytest.raises(pages.CursorInvalidError) as refusal:
        pages.page(Dataset.objects.all(), cursor=cursor)
    assert (refusal.value.code, refusal.value.status) == ("cursor_invalid", 400)


def test_a_cursor_belongs_to_one_list():
    DatasetFactory.create_batch(2)
    cursor = pages.page(Dataset.objects.all(), limit=1).next
    with pytest.raises(pages.CursorInvalidError):
        pages.page(Purpose.objects.all(), cursor=cursor)
    with pytest.raises(pages.CursorInvalidError):
        pages.page(Dataset.objects.all(), cursor=cursor, by="id")
