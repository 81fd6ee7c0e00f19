"""What people type and press, parsed."""

import re
from uuid import uuid4

from django import forms

from consent import identifiers
from consent.identifiers import EMAIL, MAX_LENGTH, IdentifierMalformedError
from consent.rules import DecisionKind

_SPACING = re.compile(r"[\s\-]+")


class AddressForm(forms.Form):
    """The address that a code is to be sent to."""

    address = forms.CharField(
        max_length=MAX_LENGTH,
        error_messages={"required": "Please type your e-mail address."},
    )

    def clean_address(self) -> str:
        """Accept what can identify somebody."""
        try:
            return identifiers.normalised(EMAIL, self.cleaned_data["address"])
        except IdentifierMalformedError:
            raise forms.ValidationError(
                "That does not look like an e-mail address. One looks like name@example.org."
            ) from None


class CodeForm(forms.Form):
    """The code as it was typed, with or without spaces."""

    code = forms.CharField(
        max_length=40, error_messages={"required": "Please type the code from the e-mail."}
    )

    def clean_code(self) -> str:
        """Take out the spaces and hyphens that people put between groups of digits."""
        return _SPACING.sub("", self.cleaned_data["code"])


class DecisionForm(forms.Form):
    """One press of a button; ``key`` makes a second press of the same button the same decision."""

    purpose = forms.SlugField()
    kind = forms.ChoiceField(choices=[(each.value, each.value) for each in DecisionKind])
    notice = forms.UUIDField(required=False)
    key = forms.UUIDField()


class ErasureForm(forms.Form):
    """The one confirmation; ``key`` makes a second press the same request."""

    key = forms.UUIDField(initial=uuid4)
