"""``manage.py verify_receipt``: check what somebody was given, without database or network."""

from governance.management.offline_command import OfflineCommand
from governance.receipt_check import RECEIPTS


class Command(OfflineCommand):
    """Check receipts."""

    checker = RECEIPTS
    help = RECEIPTS.about
