"""Which names are one data set."""

from collections.abc import Collection, Mapping

from lineage.models import Identity


def identity_of(dataset_id: int) -> int:
    """Return the smallest key among the names of a data set."""
    known = Identity.objects.filter(dataset_id=dataset_id).values_list("identity", flat=True)
    return known.first() or dataset_id


def identities(dataset_ids: Collection[int]) -> Mapping[int, int]:
    """Return of each data set the smallest key among its names."""
    known = dict(
        Identity.objects.filter(dataset_id__in=list(dataset_ids)).values_list(
            "dataset_id", "identity"
        )
    )
    return {pk: known.get(pk, pk) for pk in dataset_ids}


def called(dataset_ids: Collection[int]) -> set[int]:
    """Return these data sets under all of their names."""
    mine = Identity.objects.filter(dataset_id__in=list(dataset_ids)).values("identity")
    names = Identity.objects.filter(identity__in=mine).values_list("dataset_id", flat=True)
    return set(dataset_ids) | set(names)
