"""What the worker does for lineage; a lost, doubled or late message is harmless."""

import time

from celery import shared_task

from lineage.services.apply import apply_ready
from lineage.services.provenance import find_late_models, freeze_stale

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
