"""A process dies while it forgets somebody: the journal has a line too many at most, never less."""

import os
import signal
import subprocess
import sys
from uuid import uuid4

import pytest
from django.db import connection
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import URL

from consent.models import JournalLine, RightsRequest, Subject
from consent.selectors.journal import directory, reckoning
from consent.services import forgetting, planning, subjects
from consent.services.requests import open_erasure
from deploy import programs, starting

# Where the process kills itself, as a power cut would.
CRASHES = {
    "half a line written": """
write = os.write
def dying(handle, raw):
    write(handle, raw[: len(raw) // 2])
    die()
journal.os.write = dying
""",
    "a line written, not yet on the disk": "journal.os.fsync = lambda handle: die()",
    "a line on the disk, nothing committed": "forgetting.record_many = lambda told: die()",
}
FORGET = """
import os, signal, sys
import django
django.setup()
from consent import journal
from consent.services import forgetting
def die():
    os.kill(os.getpid(), signal.SIGKILL)
exec(sys.argv[2])
forgetting.forget(int(sys.argv[1]))
"""


@pytest.fixture
def environment(transactional_db, journal_directory) -> dict[str, str]:
    parts = {k: str(v) for k, v in conninfo_to_dict(os.environ["DATABASE_URL"]).items()}
    user, password = parts.pop("user", None), parts.pop("password", None)
    parts.pop("dbname", None)
    name = connection.settings_dict["NAME"]
    url = URL.create("postgresql", user, password, database=name, query=parts)
    return {
        **os.environ, "DATABASE_URL": url.render_as_string(hide_password=False),
        "COLOPHON_JOURNAL_DIR": str(journal_directory),
        "DJANGO_SETTINGS_MODULE": "deploy.settings",
    }  # fmt: skip


def asked() -> RightsRequest:
    person = subjects.register(identifiers=[("opaque", str(uuid4()))]).subject
    request = open_erasure(subject=person, key=uuid4(), verified=True)
    planning.plan(request.pk)
    return request


def test_whoever_dies_at_any_point_forgets_nobody_and_is_made_good_by_trying_again(environment):
    requests = [asked() for _ in CRASHES]
    dying = [
        subprocess.Popen(
            [sys.executable, "-c", FORGET, str(request.pk), crash],
            cwd=programs.ROOT, env=environment,
        )
        for request, crash in zip(requests, CRASHES.values(), strict=True)
    ]  # fmt: skip
    assert [each.wait(60) for each in dying] == [-signal.SIGKILL] * len(CRASHES)
    assert Subject.objects.filter(erased_at__isnull=False).count() == 0
    assert not JournalLine.objects.exists()
    whole = [line for line in (directory() / "erasures.journal").read_bytes().split(b"\n") if line]
    assert len(whole) in {2, 3}  # the half of a line was last, or was written over
    assert reckoning().lines == 2
    assert reckoning().missing == []
    starting.require_ready()
    for request in requests:
        assert forgetting.forget(request.pk) == 1
    assert (reckoning().lines, reckoning().missing) == (5, [])
    assert sorted(JournalLine.objects.values_list("number", flat=True)) == [3, 4, 5]
    assert Subject.objects.filter(erased_at=None).count() == 0
