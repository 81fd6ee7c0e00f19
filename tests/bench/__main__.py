"""Measure each speed beside its yardstick in one run: ``sh deploy/run bench``.

Prints a table and writes ``.bench/results.json``; names of rows measure only the groups that
they are in. Ratios are what to read: both sides of a row run on the same machine a moment apart.
``BENCH_SCALE`` is ``small`` (default) or ``full``.
"""

import json
import os
import sys
from pathlib import Path

import django
from rich.console import Console
from rich.table import Table

from tests.bench.row import Row

RESULTS = Path(".bench") / "results.json"


def main() -> None:
    """Run every row, each group of them in a database of its own."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "deploy.settings")
    django.setup()

    from tests.bench import (
        applying,
        asking,
        backlog,
        erasing,
        gating,
        lineage,
        memberships,
        planning,
        streaming,
    )
    from tests.bench.place import own_database

    groups = (
        (lineage.ingest_single, lineage.ingest_batch, applying.apply, backlog.backlog),
        (asking.apply_at_scale, asking.provenance, asking.models_by_dataset,
         asking.models_by_dataset_http, planning.erasure_plan),
        (memberships.manifest_load, memberships.bytes_per_membership, memberships.my_models,
         memberships.my_models_http),
        (gating.gate_filter, gating.gate_exclusions, streaming.gate_stream,
         streaming.withdrawal_in_force),
        (erasing.erasure, erasing.erasure_together),
    )  # fmt: skip

    wanted, known = {*sys.argv[1:]}, {each.__name__ for group in groups for each in group}
    if wanted - known:
        sys.exit(f"no such row: {', '.join(sorted(wanted - known))}; one of {sorted(known)}")
    groups = tuple(
        group for group in groups if not wanted or {each.__name__ for each in group} & wanted
    )
    console = Console()
    scale = os.environ.get("BENCH_SCALE", "small")
    rows: list[Row] = []
    for group in groups:
        with own_database() as environment:
            for measure in group:
                with console.status(f"{measure.__name__} …"):
                    row = measure(scale=scale, environment=environment)
                rows.append(row)
                console.print(f"{row.name}: {row.value:,.2f} {row.unit}, ratio {row.ratio:.2f}")
    console.print(table(rows))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([row.as_json() for row in rows], indent=1) + "\n")
    console.print(f"written to {RESULTS}")


def table(rows: list[Row]) -> Table:
    """Return the rows as a table."""
    shown = Table(title="speed, beside its yardstick")
    for column in ("name", "value", "unit", "yardstick", "its value", "ratio", "aim", "scale"):
        shown.add_column(column, justify="right" if column in {"value", "its value"} else "left")
    for row in rows:
        shown.add_row(
            row.name, f"{row.value:,.1f}", row.unit, row.yardstick, f"{row.yardstick_value:,.1f}",
            f"{row.ratio:.2f}", row.aim, row.scale,
        )  # fmt: skip
    return shown


if __name__ == "__main__":
    main()
