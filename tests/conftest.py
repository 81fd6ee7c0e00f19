"""What every test has for itself."""

from pathlib import Path

import pytest
from django.conf import settings


@pytest.fixture(autouse=True)
def journal_directory(tmp_path_factory: pytest.TempPathFactory, monkeypatch) -> Path:
    """A directory for what outlives the database: each test's database begins anew."""
    made = tmp_path_factory.mktemp("journal")
    monkeypatch.setattr(settings, "COLOPHON_JOURNAL_DIR", str(made))
    return made
