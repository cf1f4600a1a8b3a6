"""The corpus of `make differential` over TCP: streams in which a peer hides an INVITE from whoever frames them.

`HIDDEN_CALL` stands in the body of another message, or behind octets that are no message. It claims the number of a
victim: wherever the filter reads it, it is rejected. Behind each oddity comes a true call, `tail`, which shows whether
a reader still finds its way.
"""

from collections.abc import Iterator

from support import odd_stream_bodies, odd_stream_heads, odd_stream_lengths
from support.odd_stream_base import Stream, renumbered


def tables() -> dict[str, Iterator[tuple[str, bytes]]]:
    """The tables by name; each is read once."""
    return {
        "Content-Length": odd_stream_lengths.lengths(),
        "start lines": odd_stream_heads.starts(),
        "header lines": odd_stream_heads.fields(),
        "missing": odd_stream_heads.missing(),
        "line ends": odd_stream_heads.ends(),
        "between messages": odd_stream_bodies.between(),
        "bodies": odd_stream_bodies.bodies(),
        "large": odd_stream_bodies.large(),
    }


def streams() -> Iterator[Stream]:
    """All streams of the corpus, in a fixed order."""
    for table, found in tables().items():
        for name, stream in found:
            yield Stream(table, name, (renumbered(stream),))
    for name, pieces in odd_stream_bodies.cuts():
        yield Stream("cuts", name, pieces)
