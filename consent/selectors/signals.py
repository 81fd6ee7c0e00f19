"""What a browser's privacy signal is about."""

from datetime import datetime

from consent.models import ConsentDecision, Subject
from consent.models.decisions import SIGNAL
from consent.rules import has_run_out, in_force
from consent.selectors.decisions import decided_by
from consent.selectors.persons import rows_of
from governance.legal import LegalBasis, Need, need_of
from governance.models import Purpose
from governance.policy_rules import demands_of_published
from governance.selectors.rules import chains, policies_heeding_signals


def meant(subject: Subject | None, at: datetime) -> list[Purpose]:
    """Return the purposes to which a signal of a person's browser is an objection.

    Of purposes within each other, the widest: it stands for all that is part of it. None that
    rests on nobody's word, and none on which, or on a wider one of which, anything was said by
    or for the person, other than a "yes" that has run out.
    """
    known = chains()
    named = _named(known, at)
    said = _said_by(subject, at) if subject else set()
    found = []
    for pk in named:
        wider = {each.pk for each in known[pk][1:]}
        if not (wider & named or said & {pk, *wider}):
            found.append(known[pk][0])
    return sorted(found, key=lambda each: (each.title, each.pk))


def unheeded(subject: Subject, at: datetime) -> list[Purpose]:
    """Return those of them on which no signal is recorded yet."""
    found = decided_by(rows_of(subject)).filter(source=SIGNAL)
    recorded = set(found.values_list("purpose_id", flat=True))
    return [each for each in meant(subject, at) if each.pk not in recorded]


def _said_by(subject: Subject, at: datetime) -> set[int]:
    """Return the purposes on which a word stands that no signal was, on any row of the person."""
    said: dict[int, list[ConsentDecision]] = {}
    for each in decided_by(rows_of(subject)).exclude(source=SIGNAL):
        said.setdefault(each.purpose_id, []).append(each)
    stands = {pk: in_force(some, at) for pk, some in said.items()}
    return {pk for pk, word in stands.items() if word and not has_run_out(word, at)}


def _named(known: dict[int, list[Purpose]], at: datetime) -> set[int]:
    """Return the purposes that policies in force name, and that give way to an objection."""
    demands = [
        each
        for version in policies_heeding_signals(at)
        for each in demands_of_published(version.rules)
        if each.privacy_signal
    ]
    return {
        pk
        for pk, chain in known.items()
        if need_of(LegalBasis(chain[0].legal_basis)) is not Need.NOTHING
        and any(
            each.applies(purposes={part.key for part in chain}, categories=()) for each in demands
        )
    }
