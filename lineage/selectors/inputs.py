"""What some data sets were made from, one step up, by whatever tells of it."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from django.db import connection

from lineage.selectors.identities import called, identities


def inputs(datasets: Collection[int], *, among: Collection[int]) -> Mapping[int, set[int]]:
    """Return of each data set those others, of some, that it was ever made from directly.

    Any run that read one and wrote the other counts, any flow, any design and any edge that was
    kept, as in `ancestry.sources`, and so does each of a data set's names.
    """
    names = called({*datasets, *among})
    one = identities(names)
    mine = {one[pk] for pk in datasets}
    theirs: Mapping[int, int] = {one[pk]: pk for pk in among}
    asked = {
        "outputs": [pk for pk in names if one[pk] in mine],
        "inputs": [pk for pk in names if one[pk] in theirs],
    }
    found: dict[int, set[int]] = defaultdict(set)
    with connection.cursor() as cursor:
        cursor.execute(_EDGES, asked)
        for above, below in cursor.fetchall():
            if one[above] != one[below]:
                found[one[below]].add(theirs[one[above]])
    return {pk: found[one[pk]] for pk in datasets}


_EDGES = """
    SELECT i.dataset_id, w.dataset_id
      FROM lineage_datasetversion w JOIN lineage_runinput i ON i.run_id = w.run_id
     WHERE w.dataset_id = ANY(%(outputs)s) AND i.dataset_id = ANY(%(inputs)s)
    UNION
    SELECT f.input_id, f.output_id FROM lineage_flow f
     WHERE f.output_id = ANY(%(outputs)s) AND f.input_id = ANY(%(inputs)s)
    UNION
    SELECT d.input_id, d.output_id FROM lineage_design d
     WHERE d.output_id = ANY(%(outputs)s) AND d.input_id = ANY(%(inputs)s)
    UNION
    SELECT above.dataset_id, below.dataset_id
      FROM lineage_datasetversion below
      JOIN lineage_keptedge k ON k.child_id = below.id
      JOIN lineage_datasetversion above ON above.id = k.parent_id
     WHERE below.dataset_id = ANY(%(outputs)s) AND above.dataset_id = ANY(%(inputs)s)
"""
