"""The numbers of PostgreSQL's advisory locks, in one place so that no two uses share one."""

from enum import IntEnum


class Lock(IntEnum):
    """What only one may do at a time."""

    GRAPH_WRITER = 0x0C010F01
    PEOPLE = 0x0C010F02
    LEDGER_SEQUENCER = 0x0C010F03
    SIGN_IN = 0x0C010F04
    SWEEPER = 0x0C010F05
    STANDINGS = 0x0C010F09
    ASSESSING = 0x0C010F07
    ASSESSED_RUN = 0x0C010F08
    ERASURE_BATCH = 0x0C010F06
    IDENTIFIER_KEY = 0x0C010F0E
