"""By when a request has to be answered, at the edges of the calendar."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import deadlines
from consent.deadlines import Law, Pause

BERLIN, ANGELES = ZoneInfo("Europe/Berlin"), ZoneInfo("America/Los_Angeles")


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def end_of(day: str, zone=UTC) -> datetime:
    return at(f"{day}T23:59:59.999999").replace(tzinfo=zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("received", "first", "extended"),
    [
        ("2026-03-10T08:00+00:00", "2026-04-10", "2026-06-10"),
        ("2026-01-28T08:00+00:00", "2026-02-28", "2026-04-28"),
        ("2026-01-29T08:00+00:00", "2026-02-28", "2026-04-29"),
        ("2026-01-31T23:59:59+00:00", "2026-02-28", "2026-04-30"),
        ("2028-01-31T00:00+00:00", "2028-02-29", "2028-04-30"),
        ("2028-02-29T12:00+00:00", "2028-03-29", "2028-05-29"),
        ("2027-11-30T12:00+00:00", "2027-12-30", "2028-02-29"),
        ("2026-12-31T12:00+00:00", "2027-01-31", "2027-03-31"),
        ("2100-01-31T12:00+00:00", "2100-02-28", "2100-04-30"),
        ("2000-01-31T12:00+00:00", "2000-02-29", "2000-04-30"),
    ],
)
def test_gdpr_gives_a_calendar_month_and_three_in_all(received, first, extended):
    assert deadlines.due(Law.GDPR, at(received)) == end_of(first)
    assert deadlines.due(Law.GDPR, at(received), extended=True) == end_of(extended)


@pytest.mark.parametrize(
    ("received", "first", "extended", "confirmed"),
    [
        ("2026-01-01T08:00+00:00", "2026-02-15", "2026-04-01", "2026-01-15"),
        ("2028-01-15T08:00+00:00", "2028-02-29", "2028-04-14", "2028-01-28"),
        ("2027-01-15T08:00+00:00", "2027-03-01", "2027-04-15", "2027-01-29"),
        ("2026-03-06T08:00+00:00", "2026-04-20", "2026-06-04", "2026-03-20"),  # a Friday
        ("2026-03-07T08:00+00:00", "2026-04-21", "2026-06-05", "2026-03-20"),  # a Saturday
        ("2026-03-08T08:00+00:00", "2026-04-22", "2026-06-06", "2026-03-20"),  # a Sunday
        ("2026-03-09T08:00+00:00", "2026-04-23", "2026-06-07", "2026-03-23"),  # a Monday
    ],
)
def test_cpra_gives_45_days_and_90_in_all_and_ten_business_days_to_confirm(
    received, first, extended, confirmed
):
    assert deadlines.due(Law.CPRA, at(received)) == end_of(first)
    assert deadlines.due(Law.CPRA, at(received), extended=True) == end_of(extended)
    assert deadlines.confirm_by(Law.CPRA, at(received)) == end_of(confirmed)
    assert deadlines.confirm_by(Law.GDPR, at(received)) is None


@pytest.mark.parametrize(
    ("law", "received", "zone", "due"),
    [
        # The day of receipt is that of the place, and so is the last one.
        (Law.GDPR, "2026-01-31T23:30+00:00", BERLIN, "2026-03-01T22:59:59.999999+00:00"),
        (Law.GDPR, "2026-01-31T22:30+00:00", BERLIN, "2026-02-28T22:59:59.999999+00:00"),
        (Law.CPRA, "2026-02-01T07:30+00:00", ANGELES, "2026-03-18T06:59:59.999999+00:00"),
        # Clocks change in between, in March forward, and back in the autumn.
        (Law.GDPR, "2026-03-01T12:00+01:00", BERLIN, "2026-04-01T21:59:59.999999+00:00"),
        (Law.GDPR, "2026-10-20T12:00+02:00", BERLIN, "2026-11-20T22:59:59.999999+00:00"),
        # The last day is the one of 23 hours, and the one of 25.
        (Law.GDPR, "2026-02-28T12:00+01:00", BERLIN, "2026-03-28T22:59:59.999999+00:00"),
        (Law.GDPR, "2027-02-28T12:00+01:00", BERLIN, "2027-03-28T21:59:59.999999+00:00"),
        (Law.GDPR, "2026-09-25T12:00+02:00", BERLIN, "2026-10-25T22:59:59.999999+00:00"),
        (Law.CPRA, "2026-09-17T12:00-07:00", ANGELES, "2026-11-02T07:59:59.999999+00:00"),
        # Where a day ends with an hour that comes twice, and where one begins at one o'clock.
        (Law.GDPR, "2026-09-24T12:00+03:00", ZoneInfo("Asia/Beirut"),
         "2026-10-24T21:59:59.999999+00:00"),
        (Law.GDPR, "2026-02-28T12:00+02:00", ZoneInfo("Asia/Beirut"),
         "2026-03-28T21:59:59.999999+00:00"),
    ],
)  # fmt: skip
def test_days_are_those_of_the_place_whatever_its_clocks_do(law, received, zone, due):
    assert deadlines.due(law, at(received), zone=zone) == at(due)


@pytest.mark.parametrize(
    ("pauses", "due"),
    [
        ([], "2026-02-28"),
        ([("2026-02-03T08:00+00:00", "2026-02-03T23:00+00:00")], "2026-02-28"),
        ([("2026-02-03T23:59+00:00", "2026-02-04T00:01+00:00")], "2026-03-01"),
        ([("2026-02-03T08:00+00:00", "2026-02-13T07:00+00:00")], "2026-03-10"),
        ([("2026-02-03T08:00+00:00", "2026-02-05T08:00+00:00"),
          ("2026-02-09T08:00+00:00", "2026-02-10T08:00+00:00")], "2026-03-03"),
    ],
)  # fmt: skip
def test_each_day_that_ended_in_a_pause_comes_on_top(pauses, due):
    stood = [Pause(at(since), at(until)) for since, until in pauses]
    received = at("2026-01-31T12:00+00:00")
    assert deadlines.due(Law.GDPR, received, pauses=stood) == end_of(due)


def test_a_pause_over_a_change_of_clocks_counts_days_and_not_hours():
    received = at("2026-03-20T12:00+01:00")
    pause = Pause(at("2026-03-28T12:00+01:00"), at("2026-03-30T11:00+02:00"))
    due = deadlines.due(Law.GDPR, received, pauses=[pause], zone=BERLIN)
    assert due == at("2026-04-22T21:59:59.999999+00:00")


def test_only_gdpr_lets_the_clock_stand_still():
    assert [law for law in Law if deadlines.RULES[law].pauses] == [Law.GDPR]
    assert set(deadlines.RULES) == set(Law)


@given(
    received=st.datetimes(at("1990-01-01T00:00"), at("2090-01-01T00:00"), timezones=st.just(UTC)),
    law=st.sampled_from(Law), zone=st.sampled_from([UTC, BERLIN, ANGELES]),
)  # fmt: skip
def test_nothing_is_due_before_its_period_is_over_nor_a_day_later(received, law, zone):
    first = deadlines.due(law, received, zone=zone)
    least, most = {Law.GDPR: (28, 32), Law.CPRA: (45, 46)}[law]
    assert timedelta(days=least, hours=-1) < first - received < timedelta(days=most, hours=1)
    assert first < deadlines.due(law, received, extended=True, zone=zone)
