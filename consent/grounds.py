"""Why a request is refused or takes longer: codes, and the sentence that a person is told.

Pure. A code is all that the ledger and machines learn; what an operator explains beyond it is for
the person alone and kept under the person's key.
"""

from enum import StrEnum

from consent.deadlines import Law


class Refusal(StrEnum):
    """The grounds on which a request may be refused, by where the law names them."""

    EXPRESSION = "art_17_3_a"
    LEGAL_OBLIGATION = "art_17_3_b"
    PUBLIC_HEALTH = "art_17_3_c"
    RESEARCH = "art_17_3_d"
    LEGAL_CLAIMS = "art_17_3_e"
    UNFOUNDED = "art_12_5_unfounded"
    EXCESSIVE = "art_12_5_excessive"
    NOT_IDENTIFIABLE = "art_12_2_not_identifiable"

    @property
    def is_of_erasure(self) -> bool:
        """Say whether only an erasure can be refused on it."""
        return self.value.startswith("art_17_3_")


class Extension(StrEnum):
    """The reasons for which a request may take longer, Art. 12(3)."""

    COMPLEXITY = "complexity"
    NUMBER = "number_of_requests"


REFUSED = {
    Refusal.EXPRESSION: "Your data is kept because it is needed for the freedom of expression and "
    "information (GDPR Art. 17(3)(a)).",
    Refusal.LEGAL_OBLIGATION: "Your data is kept because a law obliges us to keep it, or a task in "
    "the public interest needs it (GDPR Art. 17(3)(b)).",
    Refusal.PUBLIC_HEALTH: "Your data is kept because public health needs it (GDPR Art. 17(3)(c)).",
    Refusal.RESEARCH: "Your data is kept for archiving, research or statistics, which its deletion "
    "would make impossible or seriously impair (GDPR Art. 17(3)(d)).",
    Refusal.LEGAL_CLAIMS: "Your data is kept because legal claims depend on it "
    "(GDPR Art. 17(3)(e)).",
    Refusal.UNFOUNDED: "The request is manifestly unfounded (GDPR Art. 12(5)(b)).",
    Refusal.EXCESSIVE: "The request is manifestly excessive, as by being repeated "
    "(GDPR Art. 12(5)(b)).",
    Refusal.NOT_IDENTIFIABLE: "We cannot tell which data is yours, or that it was you who asked "
    "(GDPR Art. 11(2) and 12(2)).",
}

EXTENDED = {
    Extension.COMPLEXITY: "Your request is complex.",
    Extension.NUMBER: "We have to answer many requests.",
}

COMPLAINT = {
    Law.GDPR: "You have the right to complain to a data protection authority and to go to court "
    "(GDPR Art. 12(4), 77 and 79).",
    Law.CPRA: "You have the right to complain to the California Privacy Protection Agency or to "
    "the Attorney General of California.",
}
