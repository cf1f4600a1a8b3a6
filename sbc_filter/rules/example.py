"""`[[rule.example]]` as values: a call, and what must come of it. Only `sbc-filter check` runs examples."""

from dataclasses import dataclass

from sbc_filter.errors import Problem


@dataclass(frozen=True, slots=True)
class ExampleToken:
    """`token`: the token of a made call; what is not given is true to the call. `age` is in seconds."""

    attest: str = "A"
    caller: str = ""
    called: str = ""
    age: float = 0.0
    spc: str = "1234"
    trusted: bool = True


@dataclass(frozen=True, slots=True)
class Expected:
    """What must come of the call; None or empty: anything.

    - `rule`: the rule that decides; empty: the one that the example belongs to.
    - `outcome`: of a record, with or without its detail; the other names are those of a record, too.
    - `adds` and `removes`: canonical names of header fields.
    """

    rule: str = ""
    matches: bool = True
    outcome: str = ""
    treatment: str = ""
    verdict: str = ""
    code: int | None = None
    attest: str = ""
    verstat: str = ""
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One `[[rule.example]]`.

    - `place`: says where it is, to be completed with a sentence.
    - `message` and `capture`: text or a file's name, or empty for a made call from `caller` to `called`.
    - `sender` and `target`: an address, or the name of a trunk; at most one of them.
    - `transport`: `udp` or `tcp`; empty: as the message says, or else as the rule does.
    - `at`: POSIX seconds; None: as the message says.
    - `repeated`: how many such calls came before.
    - `certificate` and `anchors`: files' names, or empty for those of the configuration.
    """

    place: Problem
    message: str = ""
    capture: str = ""
    packet: int | None = None
    caller: str = ""
    called: str = ""
    headers: tuple[str, ...] = ()
    token: ExampleToken | None = None
    sender: str = ""
    target: str = ""
    transport: str = ""
    at: float | None = None
    repeated: int = 0
    certificate: str = ""
    anchors: str = ""
    expected: Expected = Expected()
