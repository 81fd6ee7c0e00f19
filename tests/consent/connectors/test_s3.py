"""S3 over the network: the contract, and that an object is replaced as a whole or not at all."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import s3fs.core

from consent.connectors.base import (
    Place,
    StorageBusyError,
    StorageUnreachableError,
    StorageUnreadableError,
)
from consent.connectors.files import FilesConnector
from consent.connectors.s3 import s3_address
from tests.consent.connectors import s3
from tests.consent.connectors.contract import CANARY, ConnectorContract, Row, people, refused

CONNECTOR = FilesConnector()
CANARIES = frozenset({CANARY})


@pytest.fixture(scope="module")
def bucket() -> Iterator[s3.Bucket]:
    with s3.running() as bucket:
        yield bucket


class S3Storage:
    sabotage = """
import s3fs.core
async def gone(*_, **__): die()
s3fs.core.S3FileSystem._pipe_file = gone
"""

    def __init__(self, bucket: s3.Bucket) -> None:
        self.bucket = bucket
        self.prefix = uuid4().hex
        self.key = f"{self.prefix}/x/people.csv"

    def holding(self, rows: list[Row], *, numbers: bool = False) -> Place:
        self.numbers = numbers
        text = io.StringIO(newline="")
        csv.writer(text).writerows([("person", "note", "at"), *rows])
        self.bucket.put(self.key, text.getvalue().encode())
        return Place("files", self.bucket.address(self.prefix), "x/*.csv", "person")

    def rows(self, place: Place) -> list[Row]:
        text = io.StringIO(self.bucket.get(self.key).decode(), newline="")
        return [self._row(*cells) for cells in list(csv.reader(text))[1:]]

    def _row(self, person: str, note: str, at: str) -> Row:
        value = int(person) if self.numbers and person else person
        return ("" if value == "" and int(at) == 5 else value or None), note, int(at)

    def add(self, place: Place, row: Row) -> None:
        self.holding([*self.rows(place), row])

    def remove(self, place: Place) -> None:
        self.bucket.delete(self.key)

    def spoil(self, place: Place) -> Place:
        self.bucket.put(self.key, b'person\n"never closed\n')
        return place

    @contextmanager
    def read_only(self, place: Place) -> Iterator[Place]:
        with self.bucket.as_reader(place.address) as address:
            yield replace(place, address=address)


class TestS3(ConnectorContract):
    @pytest.fixture
    def storage(self, bucket) -> S3Storage:
        return S3Storage(bucket)

    @pytest.mark.parametrize(
        ("one_upload", "step", "awaited"),
        [(1 << 20, "S3FileSystem._pipe_file", True), (-1, "S3File._initiate_upload", False)],
    )
    def test_an_object_that_others_changed_meanwhile_keeps_their_change(
        self, storage, monkeypatch, one_upload, step, awaited
    ):
        place = storage.holding(people(CANARY, "bob"))
        original = attrgetter(step)(s3fs.core)

        def late(*asked, **options):
            storage.add(place, ("dora", "", 9))
            return original(*asked, **options)

        async def late_and_awaited(*asked, **options):
            return await late(*asked, **options)

        with monkeypatch.context() as patch:
            patch.setattr("consent.connectors.objects.ONE_UPLOAD", one_upload)
            patch.setattr(f"s3fs.core.{step}", late_and_awaited if awaited else late)
            with refused(StorageBusyError, place):
                CONNECTOR.erase(place, CANARIES)
        assert {row[0] for row in storage.rows(place)} == {CANARY, "bob", "dora"}
        assert CONNECTOR.erase(place, CANARIES).rows == 1

    def test_a_large_object_that_breaks_off_stays_and_leaves_no_parts(self, storage, monkeypatch):
        monkeypatch.setattr("consent.connectors.objects.ONE_UPLOAD", -1)
        place = storage.holding(people(CANARY, "bob"))
        with monkeypatch.context() as patch:
            patch.setattr("s3fs.core.S3File.commit", breaking)
            with refused(StorageUnreachableError, place):
                CONNECTOR.erase(place, CANARIES)
        assert [row[0] for row in storage.rows(place)] == [CANARY, "bob"]
        assert [key for key in storage.bucket.listed() if storage.prefix in key] == [storage.key]
        uploads = storage.bucket.client.list_multipart_uploads(Bucket=s3.BUCKET)
        assert "Uploads" not in uploads
        assert CONNECTOR.erase(place, CANARIES).rows == 1
        assert [row[0] for row in storage.rows(place)] == ["bob"]

    def test_type_and_metadata_of_an_object_stay(self, storage):
        place, client = storage.holding(people(CANARY, "bob")), storage.bucket.client
        about = {"ContentType": "text/csv", "Metadata": {"owner": "clinic"}}
        content = storage.bucket.get(storage.key)
        client.put_object(Bucket=s3.BUCKET, Key=storage.key, Body=content, **about)
        CONNECTOR.erase(place, CANARIES)
        now = client.head_object(Bucket=s3.BUCKET, Key=storage.key)
        assert {name: now[name] for name in about} == about

    @pytest.mark.parametrize(("oldest", "left"), [(86_400, 0), (10**12, 1)])
    def test_parts_that_a_killed_upload_left_are_swept_once_nobody_can_be_at_it(
        self, storage, monkeypatch, oldest, left
    ):
        monkeypatch.setattr("consent.connectors.objects.ABANDONED", oldest)
        place, client = storage.holding(people("bob")), storage.bucket.client
        for key in (storage.key, "somebody/elses"):
            client.create_multipart_upload(Bucket=s3.BUCKET, Key=key)
        CONNECTOR.erase(place, CANARIES)
        uploads = client.list_multipart_uploads(Bucket=s3.BUCKET)["Uploads"]
        assert len([each for each in uploads if each["Key"] == storage.key]) == left
        assert "somebody/elses" in {each["Key"] for each in uploads}
        for each in uploads:
            client.abort_multipart_upload(
                Bucket=s3.BUCKET, Key=each["Key"], UploadId=each["UploadId"]
            )

    def test_older_versions_that_the_bucket_keeps_are_told(self, storage):
        keep = {"Status": "Enabled"}
        client = storage.bucket.client
        client.put_bucket_versioning(Bucket=s3.BUCKET, VersioningConfiguration=keep)
        try:
            erased = CONNECTOR.erase(storage.holding(people(CANARY)), CANARIES)
        finally:
            keep = {"Status": "Suspended"}
            client.put_bucket_versioning(Bucket=s3.BUCKET, VersioningConfiguration=keep)
        assert erased.evidence["files"][0]["older_versions"] == "kept by the bucket"

    def test_partitioned_parquet_is_erased_file_by_file(self, storage):
        for day, person in {"01": CANARY, "02": "bob"}.items():
            file = io.BytesIO()
            pq.write_table(pa.table({"person": [person, "zoe"]}), file)
            storage.bucket.put(f"{storage.prefix}/day={day}/a.parquet", file.getvalue())
        place = Place("files", storage.bucket.address(storage.prefix), "**/*.parquet", "person")
        erased = CONNECTOR.erase(place, CANARIES)
        assert erased.parts == ("day=01/a.parquet",)
        assert CONNECTOR.verify(place, CANARIES) == 0
        assert "older_versions" not in erased.evidence["files"][0]

    def test_wrong_credentials_and_a_silent_server_are_not_an_empty_bucket(self, storage):
        place = storage.holding(people(CANARY))
        silent = replace(place, address=f"s3://k:s@{s3.BUCKET}/x?endpoint_url=http://127.0.0.1:9")
        with refused(StorageUnreachableError, silent):
            CONNECTOR.verify(silent, CANARIES)
        enforced = storage.bucket.as_reader(place.address)  # now every key counts, ours is unknown
        with enforced, refused(StorageUnreadableError, place):
            CONNECTOR.verify(place, CANARIES)


def breaking(self):
    raise ConnectionResetError(104, f"connection lost {CANARY}")


def test_an_address_carries_its_settings_and_shows_no_secret():
    address = s3_address("s3://K%2F:s%2Be+%40@bkt/a/b?endpoint_url=http://h:1&region=eu-x-1")
    assert (address.url, address.key, address.secret) == ("s3://bkt/a/b", "K/", "s+e+@")
    assert address.for_rust()["aws_allow_http"] == "true"
    assert address.for_fsspec()["client_kwargs"] == {"region_name": "eu-x-1"}
    assert "s+e" not in repr(address)
    assert s3_address("s3://bkt").for_fsspec().keys() == {"config_kwargs"}


@pytest.mark.parametrize("address", ["s3:///x", "s3://b?profile=secret", "s3://[b/x"])
def test_an_address_that_is_none_is_refused(address):
    place = Place("files", address, "a.csv", "person")
    with refused(StorageUnreadableError, place):
        CONNECTOR.locate(place, CANARIES)
