"""What people allow: one person's standing, and the people of whom a purpose may not be served."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import Case, Exists, OuterRef, Q, QuerySet, When
from pyroaring import BitMap

from consent import rules
from consent.models import ConsentDecision, Subject
from consent.models.decisions import IN_THE_SAME_VOICE
from consent.rules import DecisionKind, Standing, standing_within
from consent.selectors import restrictions
from consent.selectors.persons import rows_of, several, whole
from consent.selectors.standings import gathered
from consent.selectors.subjects import erased
from governance.legal import LegalBasis, Need, need_of
from governance.models import Purpose

YES = [each.value for each in DecisionKind if each.is_yes]
NO = [each.value for each in DecisionKind if not each.is_yes]
FEW = 20_000  # below it, naming the people is cheaper than reading everybody's decisions


def history(subject: Subject) -> "QuerySet[ConsentDecision]":
    """Return everything a person has decided, in the order of recording."""
    return decided_by(rows_of(subject)).select_related("purpose", "notice_version").order_by("pk")


def decided_by(rows: Iterable[int]) -> "QuerySet[ConsentDecision]":
    """Return everything that was decided on some rows."""
    return ConsentDecision.objects.filter(subject_id__in=list(rows))


def chain(purpose: Purpose) -> list[int]:
    """Return a purpose and every wider one, the nearest first."""
    parents = dict(Purpose.objects.values_list("pk", "parent_id"))
    found = [purpose.pk]
    while (parent := parents.get(found[-1])) is not None and parent not in found:
        found.append(parent)
    return found


def standing(subject: Subject, purpose: Purpose, at: datetime) -> Standing:
    """Return what one person's decisions on a purpose and the wider ones amount to."""
    [found] = _standings([rows_of(subject)], chain(purpose), at)
    return found


def excluded_from(
    people: Iterable[int], purpose: Purpose, at: datetime, *, explicit: bool = False
) -> BitMap:
    """Return those of some people whose data may not be used for a purpose at an instant.

    The set form of `consent.rules.permitted`; who was erased by then is always excluded, and so
    is whose data was restricted then.
    """
    asked = BitMap(people)
    need = Need.CONSENT if explicit else need_of(LegalBasis(purpose.legal_basis))
    if need is Need.CONSENT:
        excluded = asked - _saying(purpose, asked, at, yes=True)
    elif need is Need.OBJECTION:
        excluded = _saying(purpose, asked, at, yes=False)
    else:
        excluded = BitMap()
    restricted = whole(restrictions.in_force(at).values_list("subject_id", flat=True))
    gone = erased(list(asked) if len(asked) <= FEW else None).filter(erased_at__lte=at)
    return excluded | (asked & (restricted | BitMap(gone.values_list("pk", flat=True))))


def _saying(purpose: Purpose, people: BitMap, at: datetime, *, yes: bool) -> BitMap:
    """Return those of some people whose standing on a purpose is a yes, or a no.

    What is gathered answers for most; the few of whom something waits, and the past, are read
    from the decisions.
    """
    found = gathered(purpose, people, yes=yes, at=at) if len(people) > 1 else None
    if found is None:
        return exactly(purpose, people, at, yes=yes)
    return found.people | exactly(purpose, found.waiting, at, yes=yes)


def exactly(purpose: Purpose, people: BitMap | None, at: datetime, *, yes: bool) -> BitMap:
    """Read from the decisions who of some people, or of all, says yes, or no, to a purpose.

    The database answers for all who are one row; the rules for those who are several, each row
    of whom says what they say.
    """
    levels, says = chain(purpose), frozenset({Standing.GIVEN}) if yes else rules.NO
    joined = several(people)
    rest = None if people is None else people.difference(*joined)
    found = _who((agreed if yes else declined)(levels, at), rest).difference(*joined)
    for person, standing in zip(joined, _standings(joined, levels, at), strict=True):
        if standing in says:
            found |= person
    return found if people is None else found & people


def _standings(people: Sequence[Iterable[int]], levels: list[int], at: datetime) -> list[Standing]:
    """Return what the decisions of each person amount to, given the rows of each."""
    whose = {row: n for n, rows in enumerate(people) for row in rows}
    said: list[dict[int, list[ConsentDecision]]] = [{pk: [] for pk in levels} for _ in people]
    for each in decided_by(whose).filter(purpose_id__in=levels) if whose else ():
        said[whose[each.subject_id]][each.purpose_id].append(each)
    return [standing_within(list(by_level.values()), at) for by_level in said]


def agreed(levels: list[int], at: datetime) -> "QuerySet[ConsentDecision]":
    """Return, for each person whose standing is a "yes", the decision that says so."""
    still = Q(valid_until=None) | Q(valid_until__gt=at)
    nearest = _nearest(levels, at).filter(still, kind__in=YES)
    return nearest.filter(~Exists(_stops(levels, at))) if levels[1:] else nearest


def declined(levels: list[int], at: datetime) -> "QuerySet[ConsentDecision]":
    """Return, for each person whose standing is a "no", the nearest decision."""
    nearest = _nearest(levels, at)
    if not levels[1:]:
        return nearest.filter(kind__in=NO)
    return nearest.filter(Q(kind__in=NO) | Exists(_stops(levels, at)))


def _nearest(levels: list[int], at: datetime) -> "QuerySet[ConsentDecision]":
    """Keep, per person, what stands on the nearest purpose on which anything was said."""
    standing = ConsentDecision.objects.last_words(at).filter(purpose_id__in=levels)
    standing = standing.heard(at, purpose_id__in=levels)
    if not levels[1:]:
        return standing
    nearer = ConsentDecision.objects.annotate(distance=_distance(levels)).filter(
        IN_THE_SAME_VOICE, subject_id=OuterRef("subject_id"), purpose_id__in=levels,
        decided_at__lte=at,
        distance__lt=OuterRef("distance"),
    )  # fmt: skip
    return standing.annotate(distance=_distance(levels)).filter(~Exists(nearer))


def _stops(levels: list[int], at: datetime) -> "QuerySet[ConsentDecision]":
    """Return what stands of "no" on a wider purpose, decided no earlier than the outer row."""
    wider = ConsentDecision.objects.last_words(at).annotate(distance=_distance(levels))
    return wider.filter(
        IN_THE_SAME_VOICE, subject_id=OuterRef("subject_id"), purpose_id__in=levels[1:],
        kind__in=NO,
        distance__gt=OuterRef("distance"), decided_at__gte=OuterRef("decided_at"),
    )  # fmt: skip


def _distance(levels: list[int]) -> Case:
    return Case(*(When(purpose_id=pk, then=place) for place, pk in enumerate(levels)))


def _who(decisions: "QuerySet[ConsentDecision]", people: BitMap | None) -> BitMap:
    if people is not None and len(people) <= FEW:
        decisions = decisions.filter(subject_id__in=list(people))
    found = BitMap(decisions.values_list("subject_id", flat=True))
    return found if people is None else found & people
