"""What people ask for by right, and the facts from which the legal clock and the state follow."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.deadlines import Law, Reminder
from consent.grounds import Extension, Refusal
from consent.models.subjects import Subject
from consent.rules import DecisionSource
from governance.fields import public_id


class RequestKind(models.TextChoices):
    """The rights of Art. 15 to 21 GDPR that can be asked for."""

    ACCESS = "access", "access, Art. 15"
    RECTIFICATION = "rectification", "rectification, Art. 16"
    ERASURE = "erasure", "erasure, Art. 17"
    RESTRICTION = "restriction", "restriction, Art. 18"
    PORTABILITY = "portability", "portability, Art. 20"
    OBJECTION = "objection", "objection, Art. 21"


# Done in the moment in which they are asked for, whoever asks: a "no" costs nobody their rights.
AT_ONCE = (RequestKind.RESTRICTION, RequestKind.OBJECTION)
ASKING = (
    DecisionSource.PERSON,
    DecisionSource.GUARDIAN,
    DecisionSource.DELEGATE,
    DecisionSource.OPERATOR,
)


class RequestSource(models.TextChoices):
    """Who opened a request."""

    PERSON = DecisionSource.PERSON.value, "the person"
    GUARDIAN = DecisionSource.GUARDIAN.value, "whoever cares for the person"
    DELEGATE = DecisionSource.DELEGATE.value, "whoever the person lets speak"
    OPERATOR = DecisionSource.OPERATOR.value, "an operator, on the person's word"
    AUTOMATIC = "automatic", "the service, because what was erased has come back"


class RightsRequest(models.Model):
    """A person's request. Instants say what has happened; the state follows from them.

    There is no ``completed`` to set: an erasure is complete when every step and every remediation
    has a terminal outcome, anything else when it was answered (``consent.selectors.requests``).
    ``completion_recorded_at`` says only that the ledger knows of it. ``due_at`` follows from the
    facts by ``consent.deadlines``, and is kept because work is sorted by it.

    A request of a kind of which the person has an open one already is joined to that
    (``duplicate_of``) and has no course of its own. What is sealed is so under the person's own
    key: by which right somebody else asks (``reason_sealed``), what is to be put right
    (``details_sealed``), and what was put right, or why not (``answer_sealed``).
    """

    uuid = public_id()
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="requests")
    kind = models.TextField(choices=RequestKind.choices)
    source = models.TextField(
        choices=RequestSource.choices, default=RequestSource.PERSON, db_default="person"
    )
    reason_sealed = models.BinaryField(null=True)
    details_sealed = models.BinaryField(null=True)
    idempotency_key = models.UUIDField()
    law = models.TextField(
        choices=[(each.value, each.value) for each in Law],
        default=Law.GDPR.value, db_default=Law.GDPR.value,
    )  # fmt: skip
    received_at = models.DateTimeField(db_default=Now())
    due_at = models.DateTimeField()
    duplicate_of = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, related_name="duplicates"
    )
    verified_at = models.DateTimeField(null=True)
    extended_at = models.DateTimeField(null=True)
    extension_code = models.TextField(blank=True, default="", db_default="")
    answered_at = models.DateTimeField(null=True)
    answer_sealed = models.BinaryField(null=True)
    planned_at = models.DateTimeField(null=True)
    refused_at = models.DateTimeField(null=True)
    refusal_code = models.TextField(blank=True)
    forgotten_at = models.DateTimeField(null=True)
    observed_at = models.DateTimeField(null=True)
    completion_recorded_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject", "idempotency_key"], name="consent_request_key_once"
            ),
            # Two that are opened at the same time settle here which one joins the other.
            models.UniqueConstraint(
                fields=["subject", "kind"],
                condition=Q(duplicate_of=None, refused_at=None, completion_recorded_at=None),
                name="consent_request_one_open",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=RequestKind.values), name="consent_request_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(source__in=RequestSource.values), name="consent_request_source_known"
            ),
            models.CheckConstraint(
                condition=~Q(source=RequestSource.AUTOMATIC)
                | Q(kind=RequestKind.ERASURE, verified_at__isnull=False, duplicate_of=None),
                name="consent_request_automatic_is_a_verified_erasure",
            ),
            models.CheckConstraint(
                condition=Q(source__in=[RequestSource.PERSON, RequestSource.AUTOMATIC])
                | Q(reason_sealed__isnull=False),
                name="consent_request_of_others_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(kind=RequestKind.RECTIFICATION, details_sealed__isnull=False)
                | ~Q(kind=RequestKind.RECTIFICATION) & Q(details_sealed=None, answer_sealed=None),
                name="consent_request_says_what_is_wrong",
            ),
            models.CheckConstraint(
                condition=Q(law__in=[each.value for each in Law]), name="consent_request_law_known"
            ),
            # One that is joined has the clock of the first, which may have run out before.
            models.CheckConstraint(
                condition=Q(due_at__gt=F("received_at")) | Q(duplicate_of__isnull=False),
                name="consent_request_due_later",
            ),
            models.CheckConstraint(
                condition=Q(duplicate_of=None)
                | ~Q(duplicate_of=F("id"))
                & Q(extended_at=None, answered_at=None, refused_at=None),
                name="consent_request_joined_has_no_course",
            ),
            models.CheckConstraint(
                condition=Q(extended_at=None, extension_code="")
                | Q(
                    extended_at__isnull=False,
                    extension_code__in=[each.value for each in Extension],
                ),
                name="consent_request_extended_with_code",
            ),
            models.CheckConstraint(
                condition=Q(answered_at=None, answer_sealed=None)
                | Q(answered_at__isnull=False, kind__in=AT_ONCE)
                | Q(answered_at__isnull=False, verified_at__isnull=False)
                & ~Q(kind=RequestKind.ERASURE),
                name="consent_request_answered_as_its_kind",
            ),
            models.CheckConstraint(
                condition=Q(planned_at=None)
                | Q(verified_at__isnull=False, kind=RequestKind.ERASURE),
                name="consent_request_verified_before_planned",
            ),
            models.CheckConstraint(
                condition=Q(forgotten_at=None) | Q(planned_at__isnull=False),
                name="consent_request_planned_before_forgotten",
            ),
            models.CheckConstraint(
                condition=Q(refused_at=None, refusal_code="")
                | Q(
                    refused_at__isnull=False, answered_at=None, forgotten_at=None,
                    refusal_code__in=[each.value for each in Refusal],
                ),
                name="consent_request_refused_with_code",
            ),
        ]  # fmt: skip
        indexes = [
            # Operators' lists.
            models.Index(F("due_at"), F("uuid"), name="consent_request_by_due_date"),
            # Those that are under way, which are few among all that ever were.
            models.Index(
                F("due_at"),
                F("id"),
                name="consent_request_under_way",
                condition=Q(duplicate_of=None, refused_at=None, completion_recorded_at=None),
            ),
            # Those that were opened for people who came back, which are few.
            models.Index(
                F("subject"), name="consent_request_automatic", condition=Q(source="automatic")
            ),
        ]

    def __str__(self) -> str:
        return str(self.uuid)


class RequestPause(models.Model):
    """A while in which the clock of a request stood still, because it was checked who asks."""

    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="pauses")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["request"], condition=Q(until=None), name="consent_pause_one_open"
            ),
            models.CheckConstraint(
                condition=Q(until=None) | Q(until__gte=F("since")), name="consent_pause_ends_later"
            ),
        ]

    def __str__(self) -> str:
        return f"pause of {self.request_id}"


class Restriction(models.Model):
    """A while in which nothing that a person's data is used for is permitted, Art. 18.

    It is lifted by the person, or by an operator once the person was told (Art. 18(3)).
    """

    class LiftedBy(models.TextChoices):
        """Who lifted it."""

        PERSON = "person", "the person"
        OPERATOR = "operator", "an operator, after the person was told"

    request = models.OneToOneField(
        RightsRequest, on_delete=models.PROTECT, related_name="restriction"
    )
    subject = models.ForeignKey(Subject, on_delete=models.PROTECT, related_name="restrictions")
    since = models.DateTimeField()
    until = models.DateTimeField(null=True)
    lifted_by = models.TextField(choices=LiftedBy.choices, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["subject"], condition=Q(until=None), name="consent_restriction_one_in_force"
            ),
            models.CheckConstraint(
                condition=Q(until=None, lifted_by="")
                | Q(until__gte=F("since"), lifted_by__in=["person", "operator"]),
                name="consent_restriction_lifted_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"restriction of {self.subject_id}"


class RequestLetter(models.Model):
    """Something that somebody is told of a request, once. The row is the work of mailing it.

    Extensions, refusals and the lifting of a restriction are told to the person, and ``code`` is
    why; the rest reminds operators of ``due_at``. ``text_sealed`` is what an operator explains,
    under the person's own key. A mail is claimed by putting ``retry_at`` off, so one whose worker
    died is sent again: at least once.
    """

    class Kind(models.TextChoices):
        """What is told."""

        EXTENDED = "extended", "the request takes longer"
        REFUSED = "refused", "the request is refused"
        LIFTING = "lifting", "the restriction is going to be lifted"
        WEEK_LEFT = Reminder.WEEK_LEFT.value, "a week is left"
        TWO_DAYS_LEFT = Reminder.TWO_DAYS_LEFT.value, "two days are left"
        OVERDUE = Reminder.OVERDUE.value, "the request is late"

    class Outcome(models.TextChoices):
        """How the mailing ended; what is told to a person stands on the request's page as well."""

        SENT = "sent", "handed over to the mail server"
        NO_ADDRESS = "no_address", "no address is known"
        GIVEN_UP = "given_up", "the mail server took it from us on no attempt"

    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="letters")
    kind = models.TextField(choices=Kind.choices)
    code = models.TextField(blank=True)
    due_at = models.DateTimeField(null=True)
    text_sealed = models.BinaryField(null=True)
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    attempt = models.PositiveIntegerField(default=0)
    retry_at = models.DateTimeField(db_default=Now())
    ended_at = models.DateTimeField(null=True)
    outcome = models.TextField(choices=Outcome.choices, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["request", "kind", "due_at"], nulls_distinct=False,
                name="consent_letter_once",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=["extended", "refused", "lifting"], due_at=None)
                | Q(kind__in=[each.value for each in Reminder], due_at__isnull=False),
                name="consent_letter_kind_known",
            ),
            models.CheckConstraint(
                condition=Q(ended_at=None, outcome="")
                | Q(ended_at__isnull=False, outcome__in=["sent", "no_address", "given_up"]),
                name="consent_letter_ended_with_outcome",
            ),
        ]  # fmt: skip
        indexes = [
            # What the sweeper looks for.
            models.Index(
                F("retry_at"), name="consent_letter_open", condition=Q(ended_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.request_id}"


class RequestRecord(models.Model):
    """Which ledger records tell a request's story; the certificate proves each of them."""

    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="records")
    record = models.UUIDField(unique=True)
    kind = models.TextField()

    def __str__(self) -> str:
        return self.kind
