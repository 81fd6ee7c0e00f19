"""What the worker does for lineage; a lost, doubled or late message is harmless."""

import time
from datetime import timedelta

from celery import shared_task
from django.conf import settings
from django.utils import timezone

from lineage.services.apply import apply_ready
from lineage.services.provenance import find_late_models, freeze_stale
from lineage.services.retention import drop_months_before, expire_bodies

SECONDS_A_MESSAGE = 20.0


@shared_task(name="lineage.catch_up")
def catch_up() -> int:
    """Apply what waits and freeze what is stale, until nothing is left or the time is up."""
    ends, done = time.monotonic() + SECONDS_A_MESSAGE, 0
    find_late_models()
    while time.monotonic() < ends:
        step = apply_ready() + freeze_stale()
        if not step:
            break
        done += step
    return done


@shared_task(name="lineage.let_go")
def let_go() -> int:
    """Empty old bodies and, where a number of months to keep is set, drop the months before."""
    emptied = expire_bodies(older_than=timedelta(days=settings.COLOPHON_RAW_DAYS))
    kept = settings.COLOPHON_RETENTION_MONTHS
    if kept > 0:
        first = timezone.now().date().replace(day=1)
        for _ in range(kept):
            first = (first - timedelta(days=1)).replace(day=1)
        drop_months_before(first)
    return emptied
