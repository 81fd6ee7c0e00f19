"""A storage that only a person reaches: nothing is claimed, and the error says what to do."""

import pytest

from consent.connectors import connector_for
from consent.connectors.base import Place, RowsNotReadError
from consent.connectors.manual import PersonNeededError
from tests.consent.connectors.contract import CANARY

PLACE = Place("manual", "", "the archive in Building 4", "folder", {"checklist": ["ask Vera", 7]})


def test_rows_are_to_be_had_from_whoever_keeps_them():
    with pytest.raises(RowsNotReadError) as caught:
        connector_for("manual").rows(PLACE, frozenset({CANARY}))
    assert caught.value.message == (
        "Ask whoever keeps the archive in Building 4 to copy the person's records."
    )
    assert (caught.value.code, caught.value.retryable) == ("rows_not_read", False)


@pytest.mark.parametrize("call", ["members", "locate", "erase", "verify"])
def test_every_call_asks_for_a_person_and_says_what_to_do(call):
    asked = (PLACE,) if call == "members" else (PLACE, frozenset({CANARY}))
    with pytest.raises(PersonNeededError) as caught:
        getattr(connector_for("manual"), call)(*asked)
    assert caught.value.message == (
        "In the archive in Building 4, by hand: erase the person's records; ask Vera; look again "
        "that none is left. Then settle the step and say what was done."
    )
    assert (caught.value.code, caught.value.retryable) == ("person_needed", False)
    assert CANARY not in str(caught.value)
