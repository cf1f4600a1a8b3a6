"""The closed lists of what can become of a packet, and the errors that carry them.

`Outcome` is what an operator counts and writes rules about; `Detail` is the exact cause.
Both are closed: a new way to fail is a new member here, in the documentation and in a test.

Two blames are kept apart: `MessageError` and its kin say that the *sender* is at fault and
never leave the engine; `ConfigurationError` says that the *operator's files* are, and is
shown to them whole, every problem at once.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sbc_filter.outcomes import Detail, Outcome


class FilterError(Exception):
    """Root of all errors of this program."""


class DetailedError(FilterError):
    """An error whose cause is a `Detail`; `str()` adds a sentence where there is more to say."""

    def __init__(self, detail: Detail, sentence: str = "") -> None:
        super().__init__(sentence or str(detail))
        self.detail = detail


class PacketError(DetailedError):
    """The bytes are no datagram that can be worked on."""


class MessageError(DetailedError):
    """The bytes are no SIP message that can be worked on: outcome `unparseable`."""


class VerificationError(DetailedError):
    """A PASSporT does not verify; `outcome` says which of the failures it is."""

    def __init__(self, outcome: Outcome, detail: Detail, sentence: str = "") -> None:
        super().__init__(detail, sentence)
        self.outcome = outcome


class CertificateError(VerificationError):
    """A certificate (chain, list, extension) cannot be used: outcome `untrusted` (437)."""

    def __init__(self, detail: Detail, sentence: str = "") -> None:
        super().__init__(Outcome.UNTRUSTED, detail, sentence)


class SigningError(DetailedError):
    """The authentication service cannot sign this INVITE: outcome `unsigned`."""


class FieldError(FilterError):
    """Text that may not stand where it is to be written into a message (see `sip.field`)."""


class Problem(NamedTuple):
    """One thing wrong in an operator's file: where (file, key path) and what to do."""

    file: str
    key: str
    sentence: str
    shown: str = ""  # what a person reads in place of `key`, if that names a table by its index

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.shown or self.key, self.sentence) if part)


class ConfigurationError(FilterError):
    """Everything that is wrong with the operator's files, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class UsageFault(FilterError):
    """The command line asks for what makes no sense: exit code 2."""


class EnvironmentFault(FilterError):
    """The machine lacks something (privilege, kernel feature, program): exit code 3."""


def reason(error: Exception) -> str:
    """What is wrong, in the words of the operating system if it has any: without a path, which is said already."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def blamed(problems: Sequence[Problem], key: str) -> bool:
    """Whether something is wrong with this table of the configuration already."""
    return any(problem.key == key or problem.key.startswith(f"{key}.") for problem in problems)


class FetchError(DetailedError):
    """No certificate for this URL: outcome `unfetchable`. A `passing` cause may be over soon."""

    def __init__(self, detail: Detail, sentence: str = "", *, passing: bool = False) -> None:
        super().__init__(detail, sentence)
        self.passing = passing
