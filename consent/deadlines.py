"""The legal clock: when a rights request is due.

Pure. Art. 12(3) GDPR gives one month from receipt. By Art. 3 of Regulation 1182/71 the month ends
with the end of the same-numbered day, or of the last day of a month that has no such day.
"""

import calendar
from datetime import UTC, datetime, time


def one_month_after(received_at: datetime, months: int = 1) -> datetime:
    """Return the end (UTC) of the last day of a period of whole calendar months."""
    day = received_at.astimezone(UTC).date()
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    last = calendar.monthrange(year, month)[1]
    return datetime.combine(
        day.replace(year=year, month=month, day=min(day.day, last)), time.max, tzinfo=UTC
    )
