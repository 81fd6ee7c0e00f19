"""Receipts of decisions, over REST."""

from typing import Any
from uuid import UUID

from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from consent.selectors import receipts as known
from consent.services import receipts
from governance.api.documents import operation
from governance.models import Scope


class ReceiptOut(serializers.Serializer[Any]):
    """A receipt; `manage.py verify_receipt` checks it offline."""

    receipt = serializers.DictField(
        help_text="ISO/IEC TS 27560 as JSON-LD in the terms of W3C DPV; the proof is in `ledger`"
    )
    signed = serializers.CharField(
        help_text="the same as JWS; its keys are in /.well-known/jwks.json"
    )


class Receipt(APIView):
    """What a person can keep of one decision."""

    scopes = {"GET": Scope.CONSENT_READ}

    @operation("decision_receipt", ReceiptOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Issue the receipt of a decision. After an erasure there is none: 410."""
        issued = receipts.issue(known.decision(uuid))
        return Response(issued.as_json(), headers={"Cache-Control": "no-store"})


urlpatterns = [path("decisions/<uuid:uuid>/receipt", Receipt.as_view())]
