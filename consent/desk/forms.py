"""What operators type and press, parsed."""

from typing import Any

from django import forms

from consent.models import ErasureStep, NoticeAnswer, Violation


def _reason(label: str = "Reason", help_text: str = "Please name no person.") -> forms.CharField:
    return forms.CharField(
        max_length=2000,
        label=label,
        help_text=help_text,
        widget=forms.Textarea(attrs={"rows": 3}),
        error_messages={"required": "Please say why."},
    )


class ApprovalForm(forms.Form):
    """Which plan was read."""

    digest = forms.CharField(max_length=64)


class RejectionForm(ApprovalForm):
    """Which plan was read, and why another is to be made."""

    use_required_attribute = False

    reason = _reason("Why another plan has to be made", "")


class SettlementForm(forms.Form):
    """How a person settles a step, why, and what shows it."""

    use_required_attribute = False  # what is missing is said beside its field

    outcome = forms.ChoiceField(
        label="What became of it",
        choices=[
            (ErasureStep.Outcome.BY_HAND, "Erased by hand"),
            (ErasureStep.Outcome.NOT_FOUND, "Looked for, and not there"),
            (ErasureStep.Outcome.EXEMPT, "Kept, because the law says so"),
        ],
    )
    code = forms.SlugField(
        max_length=100,
        label="Code",
        help_text="Goes on record and into the certificate, such as table_dropped or art_17_3_b.",
    )
    reason = _reason()
    evidence = forms.CharField(
        max_length=2000,
        label="Evidence",
        required=False,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text="How it was done and looked at again. Stays inside. This or a document is "
        "needed, unless the data is kept.",
    )
    document_sha256 = forms.RegexField(
        r"^[0-9a-fA-F]{64}$",
        label="SHA-256 of a document that shows it",
        required=False,
        help_text="64 hexadecimal digits. The document stays with you.",
        error_messages={"invalid": "A SHA-256 is 64 digits from 0 to 9 and a to f."},
    )

    def clean(self) -> dict[str, Any]:
        """Ask for what shows it, where the data is said not to be there any more."""
        said = super().clean() or {}
        shown = said.get("evidence") or said.get("document_sha256") or self.errors
        if said.get("outcome") != ErasureStep.Outcome.EXEMPT and not shown:
            self.add_error("evidence", "Please say how it was done, or name a document.")
        return said


class NoticeSettlementForm(forms.Form):
    """How what a recipient cannot be told, or does not answer, is settled, and why."""

    use_required_attribute = False

    answer = forms.ChoiceField(
        label="What became of it",
        choices=[
            (NoticeAnswer.Answer.IMPOSSIBLE, "It proves impossible to tell them"),
            (NoticeAnswer.Answer.DISPROPORTIONATE, "Telling them is an effort out of proportion"),
        ],
    )
    reason = _reason()


class AssignmentForm(forms.Form):
    """Who settles something."""

    use_required_attribute = False

    to = forms.CharField(
        max_length=200,
        label="Who sees to it",
        help_text="A team or a role.",
        error_messages={"required": "Please say who."},
    )


class ResolutionForm(forms.Form):
    """How a violation is settled, and why so."""

    use_required_attribute = False

    resolution = forms.ChoiceField(
        label="How it is settled",
        choices=[(value, label.capitalize()) for value, label in Violation.Resolution.choices],
    )
    reason = _reason()
