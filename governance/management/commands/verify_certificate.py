"""``manage.py verify_certificate``: check an erasure's certificate, without database or network."""

from governance.certificate_check import CERTIFICATES
from governance.management.offline_command import OfflineCommand


class Command(OfflineCommand):
    """Check certificates."""

    checker = CERTIFICATES
    help = CERTIFICATES.about
