"""The ledger over REST: the head and its growth for everyone, leaves and proofs for auditors."""

import base64
from typing import Any
from uuid import UUID

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from governance import pages
from governance.api.authentication import PUBLIC
from governance.api.documents import operation, query_of
from governance.models import Scope
from governance.selectors import checkpoints, ledger

MOST_INDEX = 2**63 - 1


class HeadOut(serializers.Serializer[Any]):
    """The size of the ledger and the root over it."""

    size = serializers.IntegerField()
    root = serializers.CharField(  # type: ignore[assignment]
        help_text="SHA-256 over all entries (RFC 6962), base64"
    )
    checkpoint = serializers.CharField(
        allow_null=True,
        help_text="the last signed head (C2SP tlog-checkpoint), which may be some seconds older",
    )
    checkpoint_key = serializers.CharField(
        allow_null=True, help_text="the key that signed it, as C2SP signed notes name keys"
    )


class InclusionProofOut(serializers.Serializer[Any]):
    """A proof document; bytes are in base64. `manage.py verify --proof` checks it."""

    index = serializers.IntegerField()
    size = serializers.IntegerField()
    leaf = serializers.CharField()
    hashes = serializers.ListField(child=serializers.CharField())
    root = serializers.CharField()  # type: ignore[assignment]


class ConsistencyIn(serializers.Serializer[Any]):
    """Which two sizes to compare."""

    old = serializers.IntegerField(min_value=0, max_value=MOST_INDEX)
    new = serializers.IntegerField(min_value=0, max_value=MOST_INDEX, required=False)


class ConsistencyProofOut(serializers.Serializer[Any]):
    """A proof that the ledger only grew; bytes are in base64."""

    old = serializers.IntegerField()
    new = serializers.IntegerField()
    hashes = serializers.ListField(child=serializers.CharField())
    old_root = serializers.CharField()
    new_root = serializers.CharField()


class EntriesIn(serializers.Serializer[Any]):
    """Which entries to list."""

    after = serializers.IntegerField(
        min_value=-1, max_value=MOST_INDEX, default=-1, help_text="`next` of the page before"
    )
    limit = serializers.IntegerField(min_value=1, max_value=pages.MOST, default=pages.DEFAULT_LIMIT)


class EntryOut(serializers.Serializer[Any]):
    """One leaf and its index; the leaf is in base64."""

    index = serializers.IntegerField()
    leaf = serializers.CharField()


class EntriesOut(serializers.Serializer[Any]):
    """Entries in order."""

    results = EntryOut(many=True)
    next = serializers.IntegerField(allow_null=True)


class Head(APIView):
    """How much there is."""

    scopes = {"GET": PUBLIC}

    @operation("ledger_head", HeadOut, public=True)
    def get(self, request: Request) -> Response:
        """Show size and root of the ledger; keep them, and later ask for consistency."""
        head, signed = ledger.head(), checkpoints.latest()
        return Response(
            {
                "size": head.size,
                "root": base64.b64encode(head.root).decode(),
                "checkpoint": signed.note if signed else None,
                "checkpoint_key": signed.verifier if signed else None,
            }
        )


class Consistency(APIView):
    """That the ledger only grew."""

    scopes = {"GET": PUBLIC}

    @operation("ledger_consistency", ConsistencyProofOut, query=ConsistencyIn, public=True)
    def get(self, request: Request) -> Response:
        """Prove that the ledger of one size begins with the one of an older size."""
        asked = query_of(request, ConsistencyIn)
        return Response(ledger.consistency(asked["old"], asked.get("new")).as_json())


class Proof(APIView):
    """That one record is in the ledger."""

    scopes = {"GET": Scope.AUDIT_READ}

    @operation("ledger_proof", InclusionProofOut)
    def get(self, request: Request, uuid: UUID) -> Response:
        """Prove that a record is in the ledger as it is now."""
        return Response(ledger.proof_of(uuid).as_json())


class Entries(APIView):
    """The leaves themselves; they hold no personal data."""

    scopes = {"GET": Scope.AUDIT_READ}

    @operation("ledger_entries", EntriesOut, query=EntriesIn)
    def get(self, request: Request) -> Response:
        """List leaves in order, to recompute the root from them."""
        asked = query_of(request, EntriesIn)
        found = ledger.entries_after(asked["after"], asked["limit"])
        more = found and len(found) == asked["limit"]
        return Response(
            {
                "results": [
                    {"index": each.index, "leaf": base64.b64encode(each.leaf).decode()}
                    for each in found
                ],
                "next": found[-1].index if more else None,
            }
        )
