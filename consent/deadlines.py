"""The legal clock: by when a rights request has to be answered, by which law.

Pure. A law is data: how long it gives, how much longer if the person was told why, whether its
clock stands still while it is checked who asks, and by when receipt has to be confirmed. Days and
months are those of the calendar in one place (a time zone); the day of receipt is not counted,
and a period ends with the end of its last day (Regulation 1182/71, Art. 3). A month ends on the
same-numbered day, or on the last of a month that has none. That a period may end later when it
would end on a holiday is not used: nothing here is late that a law calls early.
"""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum

MONDAY_TO_FRIDAY = 5


class Law(StrEnum):
    """The law by whose clock a request runs."""

    GDPR = "gdpr"
    CPRA = "cpra"


class Reminder(StrEnum):
    """What operators are reminded of, the most urgent last."""

    WEEK_LEFT = "week_left"
    TWO_DAYS_LEFT = "two_days_left"
    OVERDUE = "overdue"


REMIND_BEFORE = {
    Reminder.WEEK_LEFT: timedelta(days=7),
    Reminder.TWO_DAYS_LEFT: timedelta(days=2),
    Reminder.OVERDUE: timedelta(0),
}


@dataclass(frozen=True, slots=True)
class Period:
    """A length of time in whole calendar months and days."""

    months: int = 0
    days: int = 0


@dataclass(frozen=True, slots=True)
class Rules:
    """What a law says of time; both periods count from receipt.

    ``extended`` replaces ``first`` once the person was told so, before ``first`` ran out.
    ``confirmed`` is in business days, Monday to Friday; none where receipt need not be confirmed.
    """

    first: Period
    extended: Period
    confirmed: int | None
    pauses: bool


RULES = {
    # Art. 12(3): one month, two further ones if told with the reasons. A clock that stands still
    # while the identity is in doubt (Art. 12(6)) is how supervisory authorities read it.
    Law.GDPR: Rules(Period(months=1), Period(months=3), confirmed=None, pauses=True),
    # CCPA regulations, section 7021: 45 days from receipt whatever checking takes, 90 if told.
    Law.CPRA: Rules(Period(days=45), Period(days=90), confirmed=10, pauses=False),
}


@dataclass(frozen=True, slots=True)
class Pause:
    """A while in which the clock stood still."""

    since: datetime
    until: datetime

    def days(self, zone: tzinfo) -> int:
        """Return how many days ended in it."""
        return (_day(self.until, zone) - _day(self.since, zone)).days


def due(
    law: Law,
    received_at: datetime,
    *,
    extended: bool = False,
    pauses: Iterable[Pause] = (),
    zone: tzinfo = UTC,
) -> datetime:
    """Return the last instant in time, in UTC: every day that ended in a pause comes on top."""
    period = RULES[law].extended if extended else RULES[law].first
    last = _after(_day(received_at, zone), period)
    return _end_of(last + timedelta(days=sum(each.days(zone) for each in pauses)), zone)


def confirm_by(law: Law, received_at: datetime, *, zone: tzinfo = UTC) -> datetime | None:
    """Return by when receipt has to be confirmed; nothing where the law does not ask for it.

    Holidays are counted as business days, so it is never too late.
    """
    left = RULES[law].confirmed
    if left is None:
        return None
    day = _day(received_at, zone)
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < MONDAY_TO_FRIDAY
    return _end_of(day, zone)


def _day(at: datetime, zone: tzinfo) -> date:
    return at.astimezone(zone).date()


def _after(day: date, period: Period) -> date:
    years, month = divmod(day.month - 1 + period.months, 12)
    year, month = day.year + years, month + 1
    last = calendar.monthrange(year, month)[1]
    moved = day.replace(year=year, month=month, day=min(day.day, last))
    return moved + timedelta(days=period.days)


def _end_of(day: date, zone: tzinfo) -> datetime:
    """Return the last instant of a day, which clock changes make longer or shorter."""
    midnight = datetime.combine(day + timedelta(days=1), time.min, tzinfo=zone)
    return midnight.astimezone(UTC) - timedelta(microseconds=1)
