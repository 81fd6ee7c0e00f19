"""The copy of a person's data that they asked for, until it expires, and what goes into it."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from consent.models.requests import RightsRequest
from governance.fields import public_id
from governance.models import Dataset


class AccessPackage(models.Model):
    """A ZIP archive of everything that is on record about a person, for them alone.

    It is sealed under the person's own key, so it goes with that key. ``content_sealed`` is
    emptied once it has expired; that it was made, and fetched, stays told in the ledger.
    """

    uuid = public_id()
    request = models.OneToOneField(RightsRequest, on_delete=models.PROTECT, related_name="package")
    content_sealed = models.BinaryField(null=True)
    size = models.PositiveBigIntegerField()
    made_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(expires_at__gt=F("made_at")), name="consent_package_expires"
            ),
            models.CheckConstraint(condition=Q(size__gt=0), name="consent_package_not_empty"),
        ]
        indexes = [
            # What has to be let go.
            models.Index(
                F("expires_at"), name="consent_package_kept",
                condition=Q(content_sealed__isnull=False),
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return str(self.uuid)


class CopyAssembly(models.Model):
    """The putting together of a copy. The row is the work, as a step is.

    A worker claims it by raising ``token`` and setting ``lease_until``. ``failures`` counts the
    tries in a row that ended with a lease that ran out, or with an error; ``code`` says which it
    was the last time. After a few it is given up: without a ``retry_at`` nobody claims it before a
    person has it tried again. It is not known here whether the copy was made: the request says so.
    """

    request = models.OneToOneField(RightsRequest, on_delete=models.PROTECT, related_name="assembly")
    begun_at = models.DateTimeField(db_default=Now(), editable=False)
    attempt = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(null=True, db_default=Now())
    code = models.TextField(blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(failures__lte=F("attempt")),
                name="consent_assembly_failures_of_attempts",
            ),
            models.CheckConstraint(
                condition=Q(retry_at__isnull=False) | Q(lease_until=None) & ~Q(code=""),
                name="consent_assembly_given_up_says_why",
            ),
        ]
        indexes = [
            # What the desk lists.
            models.Index(F("begun_at"), name="consent_assembly_stuck", condition=~Q(code=""))
        ]

    def __str__(self) -> str:
        return str(self.request_id)


class CopyReading(models.Model):
    """One data set whose rows a copy needs. The row is the work, as a step is.

    ``certainty`` is how it was known, when it was asked for, that the person may be there.
    A worker claims it by raising ``token`` and setting ``lease_until``; of one request, one at a
    time. While it is open ``code`` says what stood in the way the last time, and ``retry_at`` when
    it is tried again. It ends with how many ``rows`` there are, of which the first ``kept`` are in
    ``content_sealed`` (compressed JSON lines of ``size`` bytes, under the person's own key), or
    with a code alone. ``unread`` counts rows that were seen there and are not among ``rows``.
    The content is emptied once it is in the copy, or nobody waits for it.
    """

    class Certainty(models.TextChoices):
        """How it was known that the person may be there."""

        PROVEN = "proven", "a list of who is in it names them"
        INFERRED = "inferred", "it was made from data that names them"

    request = models.ForeignKey(RightsRequest, on_delete=models.PROTECT, related_name="readings")
    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(db_default=Now(), editable=False)
    certainty = models.TextField(
        choices=Certainty.choices, default=Certainty.PROVEN, db_default=Certainty.PROVEN
    )
    attempt = models.PositiveIntegerField(default=0)
    token = models.PositiveBigIntegerField(default=0)
    lease_until = models.DateTimeField(null=True)
    retry_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True)
    rows = models.PositiveBigIntegerField(null=True)
    kept = models.PositiveBigIntegerField(default=0)
    unread = models.PositiveBigIntegerField(default=0)
    size = models.PositiveBigIntegerField(default=0)
    content_sealed = models.BinaryField(null=True)
    code = models.TextField(blank=True)
    reason = models.TextField(blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["request", "dataset"], name="consent_reading_once"),
            models.CheckConstraint(
                condition=Q(certainty__in=["proven", "inferred"]),
                name="consent_reading_certainty_known",
            ),
            models.CheckConstraint(
                condition=Q(finished_at=None, rows=None)
                | Q(finished_at__isnull=False, rows__isnull=False, code="")
                | Q(finished_at__isnull=False, rows=None) & ~Q(code=""),
                name="consent_reading_ends_with_rows_or_code",
            ),
            models.CheckConstraint(
                condition=Q(rows=None, kept=0, size=0, content_sealed=None)
                | Q(rows__isnull=False, kept__lte=F("rows")),
                name="consent_reading_keeps_of_its_rows",
            ),
        ]
        indexes = [
            # What the sweeper looks for.
            models.Index(
                F("retry_at"), name="consent_reading_open", condition=Q(finished_at=None)
            ),
            models.Index(
                F("request"), name="consent_reading_kept", condition=Q(content_sealed__isnull=False)
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.request_id} {self.dataset_id}"
