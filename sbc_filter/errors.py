"""The errors of this program; most of them carry a `Detail` of `sbc_filter.outcomes`.

Two kinds of blame are kept apart. `MessageError` and its relatives blame the *sender* and never leave the engine.
`ConfigurationError` blames the *operator's files*; it is shown to the operator in full, with every problem at once.
"""

from collections.abc import Sequence
from typing import NamedTuple, Self

from sbc_filter.outcomes import Detail, Outcome


class FilterError(Exception):
    """Base class of all errors of this program. Each argument is a sentence for the operator."""


class Compared(NamedTuple):
    """The two values of a comparison that failed, as text for a record: what a token or certificate says, and what the
    filter compared it with. Neither is bounded or printable yet."""

    claimed: str
    found: str


class DetailedError(FilterError):
    """An error with a `Detail` as its cause, and the values that were compared, if there are two.

    `str()` is the sentence if one was given, else the detail.
    """

    def __init__(self, detail: Detail, sentence: str = "", compared: Compared | None = None) -> None:
        super().__init__(sentence or str(detail))
        self.detail = detail
        self.compared = compared

    def bare(self) -> Self:
        """The same error without its stack, to be kept in a variable or raised from one.

        An error that was raised refers to the functions on its stack. If one of their variables refers to the error,
        only a full garbage collection frees all that.
        """
        made = type(self).__new__(type(self), *self.args)
        made.__dict__.update(self.__dict__)
        return made


class PacketError(DetailedError):
    """The bytes are not a datagram that this program can process."""


class MessageError(DetailedError):
    """The bytes are not a SIP message that this program can process: outcome `unparseable`."""


class VerificationError(DetailedError):
    """A PASSporT fails verification; `outcome` is the verification outcome."""

    def __init__(self, outcome: Outcome, detail: Detail, sentence: str = "", compared: Compared | None = None) -> None:
        super().__init__(detail, sentence, compared)
        self.outcome = outcome


class CertificateError(VerificationError):
    """A certificate (or its chain, CRL or extension) cannot be used: outcome `untrusted` (response code 437)."""

    def __init__(self, detail: Detail, sentence: str = "") -> None:
        super().__init__(Outcome.UNTRUSTED, detail, sentence)


class SigningError(DetailedError):
    """The authentication service cannot sign this INVITE: outcome `unsigned`."""


class FieldError(FilterError):
    """Text that is not allowed at the place in a message where it was to be written (see `sip.field`)."""


class Problem(NamedTuple):
    """One fault in an operator's file: where it is (file, key path) and what to do about it."""

    file: str
    key: str
    sentence: str
    shown: str = ""  # what a person reads in place of `key`, if that names a table by its index

    def __str__(self) -> str:
        return ": ".join(part for part in (self.file, self.shown or self.key, self.sentence) if part)


class ConfigurationError(FilterError):
    """Every fault found in the operator's files, reported together."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class UsageFault(FilterError):
    """The command line does not make sense: exit code 2."""


class EnvironmentFault(FilterError):
    """The machine lacks something (a privilege, a kernel feature, a program): exit code 3."""


def reason(error: Exception) -> str:
    """The text of an error; for an `OSError` only the operating system's text, since the path is already in the
    sentence."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def blamed(problems: Sequence[Problem], key: str) -> bool:
    """Whether a problem has already been reported for this table of the configuration."""
    return any(problem.key == key or problem.key.startswith(f"{key}.") for problem in problems)


class FetchError(DetailedError):
    """No certificate is available for this URL: outcome `unfetchable`. `passing`: the cause may go away soon."""

    def __init__(self, detail: Detail, sentence: str = "", *, passing: bool = False) -> None:
        super().__init__(detail, sentence)
        self.passing = passing
