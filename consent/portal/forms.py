"""What people type and press, parsed."""

import re
from collections.abc import Collection
from typing import Any, cast
from uuid import uuid4

from django import forms

from consent import identifiers
from consent.identifiers import EMAIL, MAX_LENGTH, IdentifierMalformedError
from consent.models import RequestKind
from consent.rules import DecisionKind
from governance.models import Purpose

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


class RightForm(forms.Form):
    """One press on the page of rights; ``key`` makes a second press the same request.

    Deletion has a page of its own, so it is not among the kinds.
    """

    kind = forms.ChoiceField(
        choices=[each for each in RequestKind.choices if each[0] != RequestKind.ERASURE]
    )
    key = forms.UUIDField()
    details = forms.CharField(required=False, max_length=4000)
    purposes = forms.MultipleChoiceField(required=False)

    def __init__(self, *args: Any, purposes: Collection[Purpose], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known = {each.key: each for each in purposes}
        field = cast("forms.MultipleChoiceField", self.fields["purposes"])
        field.choices = [(key, key) for key in self._known]

    def clean(self) -> dict[str, Any]:
        """Ask for what only some kinds need, and drop it from the others."""
        said: dict[str, Any] = super().clean() or {}
        kind = said.get("kind")
        chosen = [self._known[key] for key in said.get("purposes", [])]
        if kind == RequestKind.RECTIFICATION and not said.get("details"):
            self.add_error("details", "Please say what is wrong, and what would be right.")
        if kind == RequestKind.OBJECTION and not chosen and "purposes" not in self.errors:
            self.add_error("purposes", "Please choose at least one use.")
        said["details"] = said.get("details", "") if kind == RequestKind.RECTIFICATION else ""
        said["purposes"] = chosen if kind == RequestKind.OBJECTION else None
        return said


class ErasureForm(forms.Form):
    """The one confirmation; ``key`` makes a second press the same request."""

    key = forms.UUIDField(initial=uuid4)
