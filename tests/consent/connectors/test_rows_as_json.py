"""What becomes of values on their way into a copy: JSON that loses nothing and names its time."""

import base64
import gzip
import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import UUID

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from pyiceberg.catalog.sql import SqlCatalog

from consent.connectors import connector_for, plain
from consent.connectors.base import Place, StorageUnreadableError
from tests.consent.connectors.contract import CANARY, refused
from tests.consent.connectors.postgres import DATABASE_URL, PostgresStorage

ANN = frozenset({"ann"})


def rows(place: Place, values: frozenset[str] = ANN) -> list[dict]:
    """Return the rows as whoever reads the JSON finds them."""
    found = list(connector_for(place.kind).rows(place, values))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    json.dumps(found, ensure_ascii=False).encode()
    return found


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, None),
        (True, True),
        (9_007_199_254_740_993, 9_007_199_254_740_993),
        (0.1, 0.1),
        (float("nan"), "NaN"),
        (float("-inf"), "-Infinity"),
        (Decimal("1.10"), "1.10"),
        (date(2026, 1, 2), "2026-01-02"),
        (datetime(2026, 1, 2, 3, 4, 5, 6, UTC), "2026-01-02T03:04:05.000006+00:00"),
        (time(3, 4), "03:04:00"),
        (timedelta(days=1, seconds=2, microseconds=500_000), "P1DT2.5S"),
        (timedelta(seconds=-90), "-P0DT90S"),
        (b"\x00\xff", "AP8="),
        (memoryview(b"ab"), "YWI="),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({"a": [Decimal(1), {2: b"x"}]}, {"a": ["1", {"2": "eA=="}]}),
        ((1, None), [1, None]),
        ("Zoë 🦉", "Zoë 🦉"),
        ("caf\udce9", "caf\\xe9"),
        ("\ud800", "\\xed\\xa0\\x80"),
    ],
    ids=repr,
)
def test_a_value_is_plain_json(value, told):
    assert plain.row([("it", value)]) == {"it": told}


def test_columns_of_one_name_are_all_there():
    assert plain.row([("a", 1), ("a", 2), ("a (2)", 3)]) == {"a": 1, "a (2)": 2, "a (2) (2)": 3}


def test_a_value_that_is_nested_too_deep_is_unreadable():
    deep: list = []
    for _ in range(5_000):
        deep = [deep]
    with pytest.raises(StorageUnreadableError):
        plain.row([("deep", deep)])


@pytest.mark.skipif(not DATABASE_URL, reason="DATABASE_URL is not set")
def test_every_kind_of_postgresql():
    storage = PostgresStorage()
    storage.run(
        f"CREATE TABLE {storage.schema}.people (person text, born date, seen timestamptz,"
        " until timestamp, money numeric(12, 2), blob bytea, id uuid, said jsonb, tags text[],"
        " pause interval, span int4range, ratio float8, huge bigint, gone text)",
        f"INSERT INTO {storage.schema}.people VALUES ('ann', '1990-02-03', '2026-01-02T03:04:05Z',"
        " 'infinity', 1.10, '\\x00ff', '00000000-0000-0000-0000-000000000001',"
        """ '{"a": [1, null]}', '{x,y}', '1 day 2 seconds', '[1,5)', 'NaN',"""
        " 9007199254740993, NULL)",
    )
    try:
        [told] = rows(storage.place())
        seen = datetime.fromisoformat(told.pop("seen"))
        assert seen == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
        assert told == {
            "person": "ann", "born": "1990-02-03", "until": "infinity", "money": "1.10",
            "blob": "AP8=", "id": "00000000-0000-0000-0000-000000000001",
            "said": {"a": [1, None]}, "tags": ["x", "y"], "pause": "P1DT2S", "span": "[1, 5)",
            "ratio": "NaN", "huge": 9_007_199_254_740_993, "gone": None,
        }  # fmt: skip
    finally:
        storage.close()


def test_what_no_date_of_sqlite_should_hold_is_told_as_it_stands(tmp_path):
    with closing(sqlite3.connect(tmp_path / "people.db")) as database, database:
        database.execute("CREATE TABLE people (person TEXT, born DATE, blob BLOB, x NUMERIC)")
        database.execute("INSERT INTO people VALUES ('ann', 'in spring', x'00ff', 1.5)")
    place = Place("sql", f"sqlite:///{tmp_path}/people.db", "people", "person")
    assert rows(place) == [{"person": "ann", "born": "in spring", "blob": "AP8=", "x": 1.5}]


def test_text_that_sqlite_cannot_decode_is_unreadable_and_not_told(tmp_path):
    with closing(sqlite3.connect(tmp_path / "people.db")) as database, database:
        database.execute("CREATE TABLE people (person TEXT, note TEXT)")
        database.execute(f"INSERT INTO people VALUES ('ann', CAST(x'ff' || '{CANARY}' AS TEXT))")
    place = Place("sql", f"sqlite:///{tmp_path}/people.db", "people", "person")
    with refused(StorageUnreadableError, place):
        rows(place)


def test_every_kind_of_duckdb(tmp_path):
    with duckdb.connect(str(tmp_path / "people.duckdb")) as database:
        database.execute(
            "CREATE TABLE people AS SELECT 'ann' AS person, DATE '2026-01-02' AS born,"
            " TIMESTAMPTZ '2026-01-02 03:04:05+00' AS seen, 1.10::DECIMAL(12, 2) AS money,"
            " 170141183460469231731687303715884105727::HUGEINT AS huge, 'ab'::BLOB AS blob,"
            " {'a': [1, NULL]} AS said, MAP {'k': 1.5::DECIMAL(3, 1)} AS found, NULL AS gone"
        )
    [told] = rows(Place("sql", f"duckdb:///{tmp_path}/people.duckdb", "people", "person"))
    seen = datetime.fromisoformat(told.pop("seen"))
    assert seen == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert told == {
        "person": "ann", "born": "2026-01-02", "money": "1.10",
        "huge": 170141183460469231731687303715884105727, "blob": "YWI=",
        "said": {"a": [1, None]}, "found": {"k": "1.5"}, "gone": None,
    }  # fmt: skip


def nested() -> pa.Table:
    far = pa.array([1 << 62], pa.timestamp("us"))
    twice = pa.array([[("k", 1), ("k", 2)]], pa.map_(pa.string(), pa.int8()))
    return pa.table({
        "person": pa.array(["ann"]).dictionary_encode(),
        "at": pa.array([1], pa.timestamp("ns", "UTC")),
        "far": far, "twice": twice,
        "money": pa.array([Decimal("1.10")], pa.decimal128(12, 2)),
        "said": pa.array([{"when": date(2026, 1, 2), "tags": [b"ab", None]}]),
        "found": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int8())),
        "view": pa.array(["text"]).cast(pa.string_view()),
    })  # fmt: skip


def test_parquet_keeps_nested_values_and_the_columns_that_are_names_of_folders(tmp_path):
    for folder in ("year=2026/place=Zo%C3%AB", "year=2027/place=__HIVE_DEFAULT_PARTITION__"):
        (tmp_path / folder).mkdir(parents=True)
        pq.write_table(nested(), tmp_path / folder / "a.parquet")
    first, second = rows(Place("files", str(tmp_path), "**/*.parquet", "person"))
    assert (first["year"], first["place"], second["place"]) == ("2026", "Zoë", None)
    assert first | {"year": "2027", "place": None} == second
    assert second == {
        "year": "2027", "place": None, "person": "ann",
        "at": "1970-01-01T00:00:00.000000001+00:00",
        "far": f"<value out of range: {1 << 62}>", "twice": [["k", 1], ["k", 2]],
        "money": "1.10", "said": {"when": "2026-01-02", "tags": ["YWI=", None]},
        "found": {"k": 1}, "view": "text",
    }  # fmt: skip


def test_csv_keeps_every_cell_by_a_name(tmp_path):
    (tmp_path / "people.csv").write_bytes(
        b'\xef\xbb\xbfperson,note,note\nann,"a ""b""\r\nc",\nann\nann,caf\xe9,2,3\nbob,x,y\n\n'
    )
    assert rows(Place("files", str(tmp_path), "people.csv", "person")) == [
        {"person": "ann", "note": 'a "b"\r\nc', "note (2)": None},
        {"person": "ann", "note": None, "note (2)": None},
        {"person": "ann", "note": "caf\\xe9", "note (2)": "2", "column 4": "3"},
    ]


def test_json_lines_keep_long_integers_and_keys_that_come_twice(tmp_path):
    (tmp_path / "people.jsonl.gz").write_bytes(gzip.compress(
        b'\xef\xbb\xbf{"u": {"id": "ann"}, "n": 123456789012345678901, "x": 1, "x": 2}\n'
        b'{"u": null}\n{"u": {"id": "bob"}}\n{"u": {"id": "ann"}, "x": NaN}\n'
    ))  # fmt: skip
    assert rows(Place("files", str(tmp_path), "*.jsonl.gz", "u.id")) == [
        {"u": {"id": "ann"}, "n": 123456789012345678901, "x": 1, "x (2)": 2},
        {"u": {"id": "ann"}, "x": "NaN"},
    ]


def test_a_line_that_is_nested_too_deep_is_unreadable(tmp_path):
    deep = "[" * 1_000 + "]" * 1_000
    (tmp_path / "people.jsonl").write_text(f'{{"person": "ann", "x": {deep}}}\n')
    place = Place("files", str(tmp_path), "people.jsonl", "person")
    with refused(StorageUnreadableError, place):
        rows(place)


def test_delta_tells_its_partitions(tmp_path):
    held = pa.table({
        "person": ["ann", "bob", "ann"], "year": pa.array([2025, 2026, 2027], pa.int32()),
        "said": [{"a": date(2026, 1, 2)}] * 3,
    })  # fmt: skip
    write_deltalake(str(tmp_path / "people"), held, partition_by=["year"])
    found = sorted(rows(Place("delta", str(tmp_path), "people", "person")), key=lambda r: r["year"])
    assert [each["year"] for each in found] == [2025, 2027]
    assert found[0] == {"person": "ann", "year": 2025, "said": {"a": "2026-01-02"}}


def test_iceberg_tells_nested_values_and_decimals(tmp_path):
    address = f"sqlite:///{tmp_path}/catalogue.db"
    catalogue = SqlCatalog("default", uri=address, warehouse=f"file://{tmp_path}/w")
    try:
        catalogue.create_namespace("clinic")
        held = pa.table({
            "person": ["ann", "bob"], "money": pa.array([Decimal("1.10")] * 2, pa.decimal128(9, 2)),
            "at": pa.array([datetime(2026, 1, 2)] * 2, pa.timestamp("us", "UTC")),  # noqa: DTZ001
            "said": [{"tags": ["x", None]}] * 2, "blob": [base64.b64decode("AP8=")] * 2,
        })  # fmt: skip
        catalogue.create_table("clinic.people", schema=held.schema).append(held)
        assert rows(Place("iceberg", address, "clinic.people", "person")) == [{
            "person": "ann", "money": "1.10", "at": "2026-01-02T00:00:00+00:00",
            "said": {"tags": ["x", None]}, "blob": "AP8=",
        }]  # fmt: skip
    finally:
        catalogue.close()
