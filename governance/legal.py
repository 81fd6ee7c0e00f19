"""What the law asks for before data may be used: the grounds of Art. 6, and what Art. 9 adds.

Pure. Categories are short keys as data sets name them; those of Art. 9(1), and of Art. 10, are
special, whatever ground of Art. 6 a purpose rests on.
"""

from collections.abc import Iterable
from enum import StrEnum

from django.db import models


class LegalBasis(models.TextChoices):
    """The grounds of Art. 6(1) GDPR, (a) to (f)."""

    CONSENT = "consent", "consent, Art. 6(1)(a)"
    CONTRACT = "contract", "contract, Art. 6(1)(b)"
    LEGAL_OBLIGATION = "legal_obligation", "legal obligation, Art. 6(1)(c)"
    VITAL_INTERESTS = "vital_interests", "vital interests, Art. 6(1)(d)"
    PUBLIC_TASK = "public_task", "public task, Art. 6(1)(e)"
    LEGITIMATE_INTERESTS = "legitimate_interests", "legitimate interests, Art. 6(1)(f)"


class Need(StrEnum):
    """What a ground asks of the people whose data is used."""

    CONSENT = "consent"  # a "yes" that stands, Art. 7
    OBJECTION = "objection"  # no "no": the right to object, Art. 21
    NOTHING = "nothing"  # the ground rests on nobody's decision


class SpecialBasis(models.TextChoices):
    """The exceptions of Art. 9(2) GDPR other than explicit consent, by their letters."""

    EMPLOYMENT = "b", "employment and social security law, Art. 9(2)(b)"
    VITAL = "c", "vital interests, Art. 9(2)(c)"
    NON_PROFIT = "d", "members of a non-profit body, Art. 9(2)(d)"
    PUBLIC = "e", "made public by the person, Art. 9(2)(e)"
    CLAIMS = "f", "legal claims, Art. 9(2)(f)"
    SUBSTANTIAL = "g", "substantial public interest, Art. 9(2)(g)"
    HEALTH_CARE = "h", "health or social care, Art. 9(2)(h)"
    PUBLIC_HEALTH = "i", "public health, Art. 9(2)(i)"
    RESEARCH = "j", "archiving, research and statistics, Art. 9(2)(j)"


SPECIAL_CATEGORIES = frozenset(
    {
        "biometric", "criminal_offences", "ethnic_origin", "genetic", "health", "philosophy",
        "political_opinion", "race", "religion", "sex_life", "sexual_orientation", "trade_union",
    }
)  # fmt: skip

_NEEDS = {
    LegalBasis.CONSENT: Need.CONSENT,
    LegalBasis.PUBLIC_TASK: Need.OBJECTION,
    LegalBasis.LEGITIMATE_INTERESTS: Need.OBJECTION,
}


def need_of(basis: LegalBasis) -> Need:
    """Return what a ground of Art. 6(1) asks for."""
    return _NEEDS.get(basis, Need.NOTHING)


def special(categories: Iterable[str]) -> frozenset[str]:
    """Return those of some categories that are special."""
    return SPECIAL_CATEGORIES & {each.casefold() for each in categories}
