"""Write down new steps of erasures."""

from collections.abc import Sequence

from consent.models import ErasureStep
from lineage.services.statements import bulk_cursor


def add(steps: Sequence[ErasureStep]) -> None:
    """Write down new steps, which nobody has tried yet, in one statement over columns.

    There can be tens of thousands, and a parameter for each value of each would take seconds. Each
    says when it was released, or that it is not.
    """
    rows = [
        (
            each.uuid, each.request_id, each.dataset_id, each.position, str(each.certainty),
            str(each.state), each.code, each.reason, each.released_at,
        )
        for each in steps
    ]  # fmt: skip
    if not rows:
        return
    with bulk_cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO consent_erasurestep
                   (uuid, request_id, dataset_id, position, certainty, state, code, reason,
                    released_at, outcome, attempt, token, evidence)
            SELECT new.*, '', 0, 0, '{}'
              FROM unnest(%s::uuid[], %s::bigint[], %s::bigint[], %s::int[], %s::text[],
                          %s::text[], %s::text[], %s::text[], %s::timestamptz[]) AS new
            """,
            [list(column) for column in zip(*rows, strict=True)],
        )
