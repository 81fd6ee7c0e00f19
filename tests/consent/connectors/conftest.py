import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other accounts may look into, unlike pytest's own."""
    path = Path(tempfile.mkdtemp(prefix="connector-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)
