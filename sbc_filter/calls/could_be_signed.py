"""Calls that could be signed: a replay without a configuration signs them with a key of the moment, to see whether it
would work. Nothing was signed, and no verifier would accept the token."""

from sbc_filter.engine.record import Record
from sbc_filter.outcomes import Outcome, result_name

PLACEHOLDER_X5U = "https://certificate.invalid/shaken.pem"
"""Where the certificate of such a key would be: no host has this name (RFC 2606 §2)."""
COULD_BE_SIGNED = "could be signed"
"""What such a call shows in the place of `signed`."""


def could_be_signed(record: Record) -> bool:
    """Whether the call of this record was only signed with a key of the moment."""
    return record.outcome == Outcome.SIGNED and record.x5u == PLACEHOLDER_X5U


def result_of(record: Record) -> str:
    """Outcome and detail of a record in one word, as in rules, or that the call could be signed."""
    return COULD_BE_SIGNED if could_be_signed(record) else result_name(record.outcome, record.detail)


def honest(record: Record) -> Record:
    """The record for a count: one of a call that could be signed says so, and claims nothing."""
    if not could_be_signed(record):
        return record
    return record._replace(outcome=COULD_BE_SIGNED, attest=None, origid=None, x5u=None, spc=None)
