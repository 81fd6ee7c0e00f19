"""Folders: which files a location names, and that a file is replaced as a whole or not at all."""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from consent.connectors import connector_for
from consent.connectors.base import (
    Located,
    LocationEscapesStorageError,
    Place,
    StorageBusyError,
    StorageKindUnknownError,
    StorageMissingError,
    StorageReadOnlyError,
    StorageUnreachableError,
    StorageUnreadableError,
    SubjectColumnMissingError,
)
from consent.connectors.csv import CsvFormat
from consent.connectors.files import FilesConnector
from consent.connectors.parquet import ParquetFormat
from tests.consent.connectors.contract import CANARY, refused
from tests.consent.connectors.folders import as_nobody

CONNECTOR = FilesConnector()
ANN = frozenset({"ann"})
CANARIES = frozenset({CANARY})


@pytest.fixture
def root(folder) -> Path:
    return folder


def put(root: Path, name: str, *persons: str) -> Path:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    if name.endswith(".parquet"):
        pq.write_table(pa.table({"person": list(persons)}), file)
    else:
        file.write_text("\n".join(["person", *persons, ""]))
    return file


def at(root: Path, location: str) -> Place:
    return Place("files", str(root), location, "person")


def everything(root: Path) -> dict[str, bytes]:
    return {str(f.relative_to(root)): f.read_bytes() for f in root.rglob("*") if f.is_file()}


@pytest.mark.parametrize(
    ("location", "parts"),
    [
        ("a.csv", ("a.csv",)),
        ("./a.csv", ("a.csv",)),
        ("*.csv", ("a.csv", "b[1].csv")),
        ("b[1].csv", ("b[1].csv",)),
        ("x/*.csv", ("x/c.csv",)),
        ("*/*.csv", ("x/c.csv",)),
        ("**/*.csv", ("a.csv", "b[1].csv", "x/c.csv", "x/y/e.csv")),
        ("x/**", ("x/c.csv", "x/y/d.parquet", "x/y/e.csv")),
        ("[ab]*", ("a.csv", "b[1].csv")),
        ("?.csv", ("a.csv",)),
        ("*", ("a.csv", "b[1].csv")),
    ],
)
def test_a_location_is_a_file_or_a_pattern(root, location, parts):
    for name in ("a.csv", "b[1].csv", "x/c.csv", "x/y/d.parquet", "x/y/e.csv"):
        put(root, name, "ann", "bob")
    put(root, "_SUCCESS")
    put(root, ".hidden")
    (root / "x/loop").symlink_to(root / "x")
    assert CONNECTOR.locate(at(root, location), ANN) == Located(len(parts), parts)


def test_a_file_uri_names_the_same_folder(root):
    put(root, "a.csv", "ann")
    place = Place("files", f"file://{root}", "a.csv", "person")
    assert CONNECTOR.locate(place, ANN).rows == 1


def test_the_suffix_may_be_in_capitals(root):
    put(root, "A.CSV", "ann")
    assert CONNECTOR.locate(at(root, "*"), ANN).parts == ("A.CSV",)


def test_only_files_with_the_person_are_touched_and_the_evidence_tells_how(root):
    first, second = put(root, "a.csv", "ann", "bob"), put(root, "b.csv", "bob")
    third, before = put(root, "c.parquet", "ann", "ann"), everything(root)
    untouched = second.stat()
    erased = CONNECTOR.erase(at(root, "*"), ANN)
    after = everything(root)
    digest = {name: hashlib.sha256(data).hexdigest() for name, data in before.items()}
    now = {name: hashlib.sha256(data).hexdigest() for name, data in after.items()}
    assert erased.rows == 3
    assert erased.parts == ("a.csv", "c.parquet")
    assert erased.evidence == {
        "files": [
            {"name": n, "rows_before": 2, "rows_after": left, "sha256_before": digest[n],
             "sha256_after": now[n]}
            for n, left in (("a.csv", 1), ("c.parquet", 0))
        ]
    }  # fmt: skip
    assert first.read_text() == "person\nbob\n"
    assert pq.read_table(third).schema == pa.schema({"person": pa.string()})
    assert second.stat() == untouched
    assert set(after) == set(before)


@pytest.mark.parametrize("location", ["../a.csv", "/etc/passwd", "x/../../a.csv", "", "a\0.csv"])
def test_a_location_that_leads_out_is_refused(root, location):
    with refused(LocationEscapesStorageError, at(root, location)):
        CONNECTOR.locate(at(root, location), CANARIES)
    assert issubclass(LocationEscapesStorageError, StorageUnreadableError)


def test_a_link_that_leads_out_is_refused_and_one_that_stays_inside_is_followed(root, tmp_path):
    put(root, "real/a.csv", "ann", "bob")
    (root / "link.csv").symlink_to("real/a.csv")
    assert CONNECTOR.locate(at(root, "**/*.csv"), ANN).rows == 1
    assert CONNECTOR.erase(at(root, "link.csv"), ANN).rows == 1
    assert (root / "link.csv").is_symlink()
    assert (root / "real/a.csv").read_text() == "person\nbob\n"
    (root / "out.csv").symlink_to(put(tmp_path, "a.csv", "ann"))
    (root / "away").symlink_to(tmp_path)
    for location in ("out.csv", "*.csv", "away/a.csv", "away/*.csv"):
        with refused(LocationEscapesStorageError, at(root, location)):
            CONNECTOR.erase(at(root, location), ANN)


def test_links_that_lead_nowhere_are_missing_and_not_passed_over(root):
    put(root, "a.csv", "ann")
    (root / "gone.csv").symlink_to("nowhere.csv")
    with refused(StorageMissingError, at(root, "*.csv")):
        CONNECTOR.locate(at(root, "*.csv"), CANARIES)


def test_what_is_no_known_format_is_refused_rather_than_passed_over(root):
    put(root, "a.csv", "ann")
    put(root, "a.xlsx", "ann")
    with refused(StorageUnreadableError, at(root, "*")):
        CONNECTOR.locate(at(root, "*"), CANARIES)
    put(root, "table.parquet/part-0.parquet", "ann")
    with refused(StorageUnreadableError, at(root, "*.parquet")):
        CONNECTOR.locate(at(root, "*.parquet"), CANARIES)
    with refused(StorageMissingError, at(root, "table.par*/*.csv")):
        CONNECTOR.locate(at(root, "table.par*/*.csv"), CANARIES)


@pytest.mark.parametrize("address", ["relative/folder", "", "file://x/y", "/a::s3://b", "no://x"])
def test_an_address_that_is_none_is_refused(address):
    with pytest.raises(StorageUnreadableError):
        CONNECTOR.locate(Place("files", address, "a.csv", "person"), ANN)


def test_a_folder_that_is_not_mounted_is_unreachable(root):
    with refused(StorageUnreachableError, at(root / "x", "a.csv")):
        CONNECTOR.locate(at(root / "x", "a.csv"), CANARIES)


def test_a_folder_that_we_may_not_read_is_not_taken_for_an_empty_one(root):
    put(root, "a.csv", "ann")
    put(root, "closed/b.csv", "ann")
    (root / "closed").chmod(0)
    with as_nobody(), refused(StorageUnreadableError, at(root, "**/*.csv")):
        CONNECTOR.locate(at(root, "**/*.csv"), CANARIES)
    (root / "closed").chmod(0o755)


def test_mode_owner_and_extended_attributes_stay(root):
    file = put(root, "a.csv", "ann", "bob")
    file.chmod(0o640)
    owner = (65_534, 65_534) if os.geteuid() == 0 else (os.getuid(), os.getgid())
    os.chown(file, *owner)
    os.utime(file, (1, 1))
    CONNECTOR.erase(at(root, "a.csv"), ANN)
    now = file.stat()
    assert stat.S_IMODE(now.st_mode) == 0o640
    assert (now.st_uid, now.st_gid) == owner
    assert now.st_mtime > 1


def test_a_protected_file_in_an_open_folder_is_read_only(root):
    file = put(root, "a.csv", CANARY)
    file.chmod(0o444)
    root.chmod(0o777)
    with as_nobody(), refused(StorageReadOnlyError, at(root, "a.csv")):
        CONNECTOR.erase(at(root, "a.csv"), CANARIES)
    assert everything(root) == {"a.csv": f"person\n{CANARY}\n".encode()}


def fail(code: int):
    def failing(*_, **__):
        raise OSError(code, f"no {CANARY}")

    return failing


@pytest.mark.parametrize(
    ("broken", "code", "error"),
    [
        ("os.replace", errno.EIO, StorageUnreachableError),
        ("os.replace", errno.EACCES, StorageReadOnlyError),
        ("os.fsync", errno.ENOSPC, StorageUnreachableError),
        ("os.utime", errno.EROFS, StorageReadOnlyError),
        ("shutil.copystat", errno.EPERM, StorageReadOnlyError),
        ("hashlib.file_digest", errno.EIO, StorageUnreachableError),
    ],
)
def test_a_failure_at_any_step_leaves_the_file_and_no_draft(root, monkeypatch, broken, code, error):
    file = put(root, "a.csv", CANARY, "bob")
    before, status = everything(root), file.stat()
    with monkeypatch.context() as patch:
        patch.setattr(broken, fail(code))
        with refused(error, at(root, "a.csv")):
            CONNECTOR.erase(at(root, "a.csv"), CANARIES)
    assert everything(root) == before
    assert file.stat() == status


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_a_draft_that_lost_somebody_else_is_not_published(root, monkeypatch, name):
    put(root, name, CANARY, "bob")
    before = everything(root)
    for form in (CsvFormat, ParquetFormat):
        monkeypatch.setattr(form, "rewrite", careless(form))
    with refused(StorageUnreadableError, at(root, name)):
        CONNECTOR.erase(at(root, name), CANARIES)
    assert everything(root) == before


def careless(form):
    faithful = form.rewrite

    def rewrite(self, source, draft, column, values):
        faithful(self, source, draft, column, values | {"bob"})
        return self.inspect(source, column, values)

    return rewrite


def test_what_was_erased_before_a_failure_is_told_with_its_evidence(root):
    put(root, "a.csv", "ann", "bob")
    (root / "b.csv").write_text("other\nann\n")
    put(root, "c.csv", "ann")
    with pytest.raises(SubjectColumnMissingError) as caught:
        CONNECTOR.erase(at(root, "*.csv"), ANN)
    assert (caught.value.partial.rows, caught.value.partial.parts) == (1, ("a.csv",))
    assert caught.value.partial.evidence["files"][0]["rows_after"] == 1
    (root / "b.csv").unlink()
    assert CONNECTOR.erase(at(root, "*.csv"), ANN).parts == ("c.csv",)


def test_a_file_that_others_changed_meanwhile_keeps_their_change(root, monkeypatch):
    file = put(root, "a.csv", CANARY, "bob")
    copystat = shutil.copystat

    def late(source, target):
        with file.open("a") as out:
            out.write("dora\n")
        copystat(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("shutil.copystat", late)
        with refused(StorageBusyError, at(root, "a.csv")):
            CONNECTOR.erase(at(root, "a.csv"), CANARIES)
    assert everything(root) == {"a.csv": f"person\n{CANARY}\nbob\ndora\n".encode()}
    assert CONNECTOR.erase(at(root, "a.csv"), CANARIES).rows == 1


def test_a_file_that_another_erasure_holds_is_busy(root, monkeypatch):
    monkeypatch.setattr("consent.connectors.folder.PATIENCE", 0)
    file = put(root, "a.csv", CANARY)
    with file.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with refused(StorageBusyError, at(root, "a.csv")):
            CONNECTOR.erase(at(root, "a.csv"), CANARIES)
    assert CONNECTOR.erase(at(root, "a.csv"), CANARIES).rows == 1


def test_erasures_of_one_file_at_the_same_time_lose_nothing(root):
    names = [f"person {n}" for n in range(12)]
    file = put(root, "a.csv", *names, "bob")
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(CONNECTOR.erase, at(root, "a.csv"), frozenset({n})) for n in names]
        assert [call.result().rows for call in calls] == [1] * 12
    assert everything(root) == {file.name: b"person\nbob\n"}


def test_drafts_of_the_dead_are_swept_and_those_of_the_living_are_not(root):
    put(root, "x/a.csv", "bob")
    dead, alive = put(root, "x/.colophon-dead", "ann"), put(root, "x/.colophon-alive", "ann")
    with alive.open("r+b") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert CONNECTOR.erase(at(root, "x/*"), ANN).rows == 0
    assert not dead.exists()
    assert alive.exists()


def test_a_summary_that_would_keep_identifiers_must_go_first(root):
    put(root, "a.parquet", CANARY, "bob")
    put(root, "_metadata")
    with refused(StorageUnreadableError, at(root, "*.parquet")):
        CONNECTOR.erase(at(root, "*.parquet"), CANARIES)
    (root / "_metadata").unlink()
    assert CONNECTOR.erase(at(root, "*.parquet"), CANARIES).rows == 1


def test_a_kind_without_a_connector_is_unknown():
    with pytest.raises(StorageKindUnknownError):
        connector_for("tape")
