"""What the devstack tells its user when it cannot go on."""


class DevstackError(Exception):
    """A server cannot be started or reached; the text says what to do, and tells no password."""
