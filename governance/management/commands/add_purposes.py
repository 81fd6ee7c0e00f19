"""``manage.py add_purposes``: register the standard purposes that are missing."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from governance.errors import ColophonError
from governance.models import LegalBasis, Purpose
from governance.selectors.rules import Planned, StandardState, standard_purposes
from governance.services.rules import add_standard_purposes
from governance.standard_purposes import STANDARD

WORDS = {
    StandardState.MISSING: "to be added",
    StandardState.THERE: "is there",
    StandardState.OTHER: "its key stands for something else",
    StandardState.LEFT_OUT: "left out: what it is part of is something else",
}


class Command(BaseCommand):
    """Add standard purposes, with the W3C's addresses; what is there is never changed."""

    help = (
        "Register the standard purposes that are missing: making AI models, with training, "
        "fine-tuning and evaluation as parts of it; personalisation; research. What is registered "
        "is never changed. Add your own below them with POST /api/v1/purposes."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--legal-basis", choices=LegalBasis.values, default=LegalBasis.CONSENT.value,
            help="what those that are added rest on (default: %(default)s, the strictest)",
        )  # fmt: skip
        parser.add_argument(
            "--basis", action="append", default=[], metavar="KEY=BASIS",
            help="what one of them rests on; give it again for more",
        )  # fmt: skip
        parser.add_argument("--dry-run", action="store_true", help="show what would be added")
        parser.add_argument("--json", action="store_true", help="print one JSON object a line")

    def handle(self, **options: Any) -> None:
        bases = dict(_pair(each) for each in options["basis"])
        default = LegalBasis(options["legal_basis"])
        planned, made = standard_purposes(), set()
        if not options["dry_run"]:
            try:
                added = add_standard_purposes(basis_of=lambda key: bases.get(key, default))
            except ColophonError as error:
                raise CommandError(f"{error.code}: {error.message}") from None
            made = {each.key for each in added}
        rests_on = dict(Purpose.objects.values_list("key", "legal_basis"))
        for each in planned:
            key = each.purpose.key
            basis = rests_on.get(key) or bases.get(key, default).value
            state = "added" if key in made else each.state.value
            self.stdout.write(_json(each, state, basis) if options["json"] else _line(each, state))


def _pair(said: str) -> tuple[str, LegalBasis]:
    key, _, basis = said.partition("=")
    if key not in {each.key for each in STANDARD}:
        raise CommandError(f"{key} is no standard purpose")
    if basis not in LegalBasis.values:
        raise CommandError(f"{key} can rest on one of {', '.join(LegalBasis.values)}")
    return key, LegalBasis(basis)


def _json(planned: Planned, state: str, basis: str) -> str:
    said = planned.purpose
    return json.dumps(
        {
            "key": said.key, "title": said.title, "dpv_iri": said.dpv_iri,
            "parent": said.parent or None, "legal_basis": basis, "state": state,
        }
    )  # fmt: skip


def _line(planned: Planned, state: str) -> str:
    said = planned.purpose
    told = state if state == "added" else WORDS[planned.state]
    return f"{said.key:<16} {said.dpv_iri:<44} {told}"
