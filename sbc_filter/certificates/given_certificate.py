"""A certificate source that has one chain for every URL: the file of `--certificate`."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sbc_filter.certificates.folder import how_to_add
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.outcomes import Detail

_FOREVER = 1e12  # POSIX seconds; the judgement may be of any time
_MOST = 1000  # URLs that are counted
_SHOWN, _LONGEST = 3, 100  # URLs that are named, and characters of each


class GivenCertificate:
    """Answers every URL with `pem`, the content of `path`. Whether that is a certificate is judged elsewhere.

    `pem` is None if no file was given. Then there is nothing to ask for.
    """

    def __init__(self, path: Path | None, pem: bytes | None) -> None:
        self.pem = pem
        self._path = path
        self._urls: dict[str, None] = {}  # that were asked for, in their order

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Answer at once."""
        if len(self._urls) < _MOST:
            self._urls[url] = None
        done(Answer(self.pem, None if self.pem is not None else Detail.FETCH_REFUSED, _FOREVER))

    def close(self) -> None:
        """Do nothing."""

    def sentences(self) -> Iterator[str]:
        """A warning if several URLs were asked for: tokens of the other signers then seem to be forged."""
        if len(self._urls) < 2:
            return
        urls = list(self._urls)
        named = ", ".join(url[:_LONGEST] for url in urls[:_SHOWN]) + (", …" if len(urls) > _SHOWN else "")
        count = f"{len(urls)}{' or more' if len(urls) == _MOST else ''} URLs"
        yield (
            f"warning: {self._path} was taken for the certificate of {count}: {named}. By it, the tokens of other"
            f" signers are invalid.bad-signature. Give each its own instead: {how_to_add(None, urls[0])}"
        )
