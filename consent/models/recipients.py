"""To whom data and models were disclosed, what they are told of a request, and what they answer.

No identifier of a person is here: what a recipient is told is put together at the moment of
sending, from what is sealed under the person's own key.
"""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.identifiers import SCHEME
from consent.models.requests import RightsRequest
from governance.fields import public_id
from governance.models import ApiClient, Dataset, Model, Sending


class Recipient(models.Model):
    """Somebody who received data sets or models (Art. 4(9) GDPR), and where they can be told.

    The address can hold a secret, so it is sealed; ``host`` is what people are shown. ``scheme``
    is by which kind of identifier they know people. Nothing is sent after ``ended_at``.
    """

    uuid = public_id()
    name = models.TextField(unique=True)
    host = models.TextField()
    url_sealed = models.BinaryField()
    scheme = models.TextField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(scheme__regex=SCHEME), name="consent_recipient_scheme_is_a_name"
            ),
            models.CheckConstraint(condition=~Q(name=""), name="consent_recipient_has_a_name"),
        ]

    def __str__(self) -> str:
        return self.name


class RecipientSecret(models.Model):
    """What messages and answers are signed with; two for a while when one takes over."""

    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, related_name="secrets")
    sealed = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    ends_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["recipient"], condition=Q(ends_at=None), name="consent_recipient_one_secret"
            ),
        ]

    def __str__(self) -> str:
        return f"secret of {self.recipient_id}"


class Disclosure(models.Model):
    """That a recipient received a data set or a model. What was disclosed stays disclosed."""

    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, related_name="disclosures")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, null=True, related_name="+")
    model = models.ForeignKey(Model, on_delete=models.PROTECT, null=True, related_name="+")
    recorded_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["recipient", "dataset"], name="consent_disclosure_of_dataset_once"
            ),
            models.UniqueConstraint(
                fields=["recipient", "model"], name="consent_disclosure_of_model_once"
            ),
            models.CheckConstraint(
                condition=Q(dataset=None, model__isnull=False)
                | Q(dataset__isnull=False, model=None),
                name="consent_disclosure_of_one_thing",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class RecipientNotice(Sending):
    """A request that a recipient has to be told of (Art. 19 GDPR).

    ``uuid`` is the webhook-id in every attempt, and how the recipient may name the request: the
    request's own name leads to the person's page. ``names_person`` says that they received data
    and are told who it is about; whoever received a model only learns of nobody.

    ``lapsed_at`` is when it ended without an answer, and ``lapse`` how. What is answered after
    that is kept, and counts.
    """

    class Of(models.TextChoices):
        """What is told."""

        REQUESTED = "requested", "what the person asked for"
        LIFTED = "lifted", "that a restriction they were told of has ended"

    class Lapse(models.TextChoices):
        """How it ended without an answer."""

        NO_ANSWER = "no_answer", "told, and nothing final was answered in time"
        NOT_REACHED = "not_reached", "could not be told in time"
        OVERTAKEN = "overtaken", "the restriction ended before it was told"

    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="notices")
    recipient = models.ForeignKey(Recipient, on_delete=models.PROTECT, related_name="notices")
    names_person = models.BooleanField()
    told_of = models.TextField(choices=Of.choices, default=Of.REQUESTED, db_default="requested")
    opened_at = models.DateTimeField(db_default=Now(), editable=False)
    lapsed_at = models.DateTimeField(null=True)
    lapse = models.TextField(choices=Lapse.choices, blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["request", "recipient", "names_person", "told_of"],
                name="consent_notice_once",
            ),
            models.CheckConstraint(
                condition=Q(told_of__in=["requested", "lifted"]), name="consent_notice_of_known"
            ),
            # Overtaken ones may be on their way, and arrive.
            models.CheckConstraint(
                condition=Q(lapsed_at=None, lapse="")
                | Q(lapsed_at__isnull=False, lapse="no_answer", delivered_at__isnull=False)
                | Q(lapsed_at__isnull=False, lapse="not_reached", gave_up_at__isnull=False)
                | Q(lapsed_at__isnull=False, lapse="overtaken"),
                name="consent_notice_lapses_as_it_stands",
            ),
            models.CheckConstraint(
                condition=Q(delivered_at=None) | Q(gave_up_at=None),
                name="consent_notice_ends_one_way",
            ),
        ]
        indexes = [
            # What the sweeper looks for.
            models.Index(
                F("retry_at"), name="consent_notice_open",
                condition=Q(delivered_at=None, gave_up_at=None),
            ),
        ]  # fmt: skip


class NoticeAnswer(models.Model):
    """What a recipient answered, or how an operator settled what cannot be answered.

    That is a client, ``by``, or a colleague at the desk: ``by_staff``, ``staff:`` and a key.
    A recipient's reason is a code of a closed list, so that no answer can bring a name back.
    """

    class Answer(models.TextChoices):
        """What became of it; all but the first end it."""

        ACCEPTED = "accepted", "will be done"
        DONE = "done", "was done"
        REFUSED = "refused", "is not done, with the reason"
        IMPOSSIBLE = "impossible", "the recipient cannot be told"
        DISPROPORTIONATE = "disproportionate", "telling takes an effort out of proportion"

    notice = models.ForeignKey(RecipientNotice, on_delete=models.PROTECT, related_name="answers")
    answer = models.TextField(choices=Answer.choices)
    code = models.TextField(blank=True)
    reason = models.TextField(blank=True)
    by = models.ForeignKey(ApiClient, on_delete=models.PROTECT, null=True, related_name="+")
    by_staff = models.TextField(blank=True, default="", db_default="")
    at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["notice", "answer"], name="consent_answer_once"),
            models.UniqueConstraint(
                fields=["notice"], condition=~Q(answer="accepted"), name="consent_answer_ends_once"
            ),
            models.CheckConstraint(
                condition=Q(
                    answer__in=["accepted", "done"], by=None, by_staff="", code="", reason=""
                )
                | Q(answer="refused", by=None, by_staff="", reason="") & ~Q(code="")
                | Q(answer__in=["impossible", "disproportionate"], code="")
                & (Q(by__isnull=False, by_staff="") | Q(by=None) & ~Q(by_staff=""))
                & ~Q(reason=""),
                name="consent_answer_by_whom_it_can_be",
            ),
        ]

    def __str__(self) -> str:
        return self.answer
