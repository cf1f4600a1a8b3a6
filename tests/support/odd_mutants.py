"""Mutants of the corpus: several of its oddities in one message, then bytes changed at random.

Each is a function of its seed and number.
"""

from random import Random

from support.corpus import tables
from support.odd_base import BASES, MARK, Case, Change
from support.odd_start import INVISIBLE

_PIECES = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b"\r\n ", b"\r\n\r\n", b":", b";", b"=", b",", b"<", b">", b'"',
    b"\\", b"@", b"?", b"%", b"&"),
    *(b"%3b", b"%3d", b"%40", b"%00", b"%0d%0a", b";tag=x", b";verstat=" + MARK.encode(), b"INVITE", b"SIP/2.0",
    b"sip:", b"tel:", b"+19005550123"),
    *(b"From: <sip:+19005550123@h>;tag=y\r\n", b"f: <sip:+19005550123@h>;tag=y\r\n",
    b"P-Asserted-Identity: <sip:+19005550123@h>\r\n"),
    *(b"P-Attestation-Indicator: " + MARK.encode() + b"\r\n", b"Content-Length: 0\r\n", b"l: 5\r\n",
    b"To: <sip:a@b>;tag=z\r\n", b"X: y\r\n"),
    *INVISIBLE,
)  # fmt: skip


class Mutator:
    """All changes of the corpus, table by table, so that no table is rare."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._tables: list[list[tuple[str, Change]]] = [list(changes) for changes in tables().values()]
        self._bases = list(BASES.items())

    def mutant(self, number: int) -> Case:
        """The mutant of this number."""
        rng = Random(f"{self._seed}:{number}")
        base, message = rng.choice(self._bases)
        names = []
        for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3))):
            name, change = rng.choice(rng.choice(self._tables))
            try:
                message = change(message)
            except ValueError:
                continue  # an earlier change took away what this one needs
            names.append(name)
        for _ in range(rng.choice((0, 0, 1, 1, 2, 3, 6))):
            message = bent(rng, message)
        return Case("mutant", f"{number}: {', '.join(names)}"[:200], base, message)


def bent(rng: Random, message: bytes) -> bytes:
    """One small change somewhere, half of them in the first 700 bytes, where the header fields of a call are."""
    at = rng.randrange(min(len(message), rng.choice((64, 350, 700, len(message)))) + 1)
    kind = rng.randrange(6)
    if kind == 0:
        return message[:at] + rng.choice(_PIECES) + message[at:]
    if kind == 1:
        return message[:at] + rng.choice(_PIECES) + message[at + 1 :]
    if kind == 2:
        return message[:at] + message[at + rng.randrange(1, 4) :]
    if kind == 3:
        return message[:at] + bytes([rng.randrange(256)]) + message[at + rng.randrange(2) :]
    lines = message.split(b"\r\n")
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    if kind == 4:
        lines.insert(one, lines[other])
    else:
        lines[one], lines[other] = lines[other], lines[one]
    return b"\r\n".join(lines)
