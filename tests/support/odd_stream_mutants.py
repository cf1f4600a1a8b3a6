"""Mutants of the corpus of streams: several oddities in a row, odd messages with a body, octets changed at random, cut
anywhere.

Each is a function of its seed and number, apart from the numbers in its Call-IDs.
"""

from random import Random

from support.odd_mutants import Mutator, bent
from support.odd_stream_base import PREFIX, Stream, call, carriers, hidden_call, length, numbered, renumbered
from support.odd_streams import tables


class StreamMutator:
    """Streams from all tables, and from the corpus of single messages."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._messages = Mutator(seed)
        self._tables = [
            [(name, stream) for name, stream in found if len(stream) < 20_000] for found in tables().values()
        ]

    def mutant(self, number: int) -> Stream:
        """The mutant of this number."""
        rng = Random(f"{self._seed}:{number}")
        names, stream = [], b""
        for part in range(rng.choice((1, 1, 2, 3))):
            name, made = self._part(rng, 4 * number + part)
            for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
                made = self._bent(rng, made)
            names.append(name)
            stream += made
        return Stream("mutant", f"{number}: {'; '.join(names)}"[:200], cut(rng, stream + call()))

    def _part(self, rng: Random, number: int) -> tuple[str, bytes]:
        kind = rng.randrange(6)
        if kind < 2:  # an odd message, with a call in its body or without a body
            case = self._messages.mutant(number)
            body = PREFIX + hidden_call() if kind else b""
            message = numbered(case.message.replace(b"Content-Length: 0", b"Content-Length: %d" % len(body)))
            if rng.randrange(2):
                message = message.replace(b"INVITE", rng.choice((b"OPTIONS", b"MESSAGE")))
            return case.name, message + body
        if kind < 5:
            body = rng.choice((PREFIX, b"", b"\r\n", b"INVITE sip:a ", bytes(rng.randrange(300)))) + hidden_call()
            body = body[: len(body) - rng.choice((0, 0, 2, rng.randrange(len(body))))]
            _, message = rng.choice(list(carriers(length(len(body)), body)))
            return "plain", message
        name, stream = rng.choice(rng.choice(self._tables))
        return name, renumbered(stream)

    @staticmethod
    def _bent(rng: Random, stream: bytes) -> bytes:
        """A small change: mostly around a length or an end of a header."""
        marks = (b"Length", b"l:", b"\r\n\r\n", b"SIP/2.0", b"INVITE", b"\r\n")
        at = stream.find(rng.choice(marks), rng.randrange(len(stream) + 1))
        if at < 0 or not rng.randrange(4):
            return bent(rng, stream)
        start, end = max(at - 4, 0), at + 24
        return stream[:start] + bent(rng, stream[start:end]) + stream[end:]


def cut(rng: Random, stream: bytes) -> tuple[bytes, ...]:
    """The stream in segments: mostly in one, or in a few."""
    places = sorted({rng.randrange(len(stream) + 1) for _ in range(rng.choice((0, 0, 1, 2, 5)))})
    pieces = [stream[start:end] for start, end in zip([0, *places], [*places, len(stream)], strict=True)]
    return tuple(filter(None, pieces))
