"""What some data sets were made from, one step up, by whatever tells of it."""

from collections import defaultdict
from collections.abc import Collection, Mapping

from governance.fields import among as each_of
from lineage.models import DatasetEdge
from lineage.selectors.identities import called, identities


def inputs(datasets: Collection[int], *, among: Collection[int]) -> Mapping[int, set[int]]:
    """Return of each data set those others, of some, that it was ever made from directly.

    Whatever ever said so counts, as in `ancestry.descendants`, and so does each of its names.
    """
    names = called({*datasets, *among})
    one = identities(names)
    mine = {one[pk] for pk in datasets}
    theirs: Mapping[int, int] = {one[pk]: pk for pk in among}
    found: dict[int, set[int]] = defaultdict(set)
    edges = DatasetEdge.objects.filter(
        input__in=each_of(pk for pk in names if one[pk] in theirs),
        output__in=each_of(pk for pk in names if one[pk] in mine), down=True,
    )  # fmt: skip
    for above, below in edges.values_list("input_id", "output_id"):
        if one[above] != one[below]:
            found[one[below]].add(theirs[one[above]])
    return {pk: found[one[pk]] for pk in datasets}
