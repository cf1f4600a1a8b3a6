"""A certificate source that has one chain for every URL: the file of `--certificate`."""

from collections.abc import Callable, Iterator
from pathlib import Path

from sbc_filter.certificates.folder import how_to_add, read_pem
from sbc_filter.engine.verdict import OURS, Answer, Party
from sbc_filter.errors import CertificateError, FetchError, FilterError, reason
from sbc_filter.outcomes import CertificateDeviation, Detail
from sbc_filter.pki.certificate import parse_certificates
from sbc_filter.system.shell_words import path_word

_FOREVER = 1e12  # POSIX seconds; the judgement may be of any time
_MOST = 1000  # URLs that are counted, and tokens that are tried
_SHOWN, _LONGEST = 3, 100  # URLs that are named, and characters of each


_DER = frozenset({CertificateDeviation.DER_BODY})


class UnusableCertificate(FilterError):
    """The file of `--certificate` cannot be used; one sentence with its name: exit code 1."""


def read_given(path: Path | None, tolerate: frozenset[str]) -> bytes | None:
    """The content of the file of `--certificate`; None if no file was given.

    Raises `UnusableCertificate` if it cannot be read, or is not a chain of certificates. With `der-body` in `tolerate`,
    it may be in DER.
    """
    if path is None:
        return None
    try:
        content = read_pem(path)
    except (OSError, FetchError) as error:
        fault = reason(error) if isinstance(error, OSError) else str(error)
        raise UnusableCertificate(f"{path} cannot be read: {fault}") from None
    try:
        parse_certificates(content, tolerate=tolerate)
    except CertificateError as error:
        raise UnusableCertificate(f"{path}: {error}{_what_it_is(path, content)}") from None
    return content


def _what_it_is(path: Path, content: bytes) -> str:
    """What a file without certificates has instead, as far as it is known; for DER, the command that converts it."""
    if not content.strip():
        return ": the file is empty"
    if b"PRIVATE KEY-----" in content and b"CERTIFICATE-----" not in content:
        return ": it has only a private key"
    try:
        parse_certificates(content, tolerate=_DER)
    except CertificateError:
        return ""
    return f"; it is in DER: convert it by `openssl x509 -inform DER -in {path_word(str(path))} -out c.pem`"


class GivenCertificate:
    """Answers every URL with `pem`, the content of `path`, which `read_given` has read.

    `pem` is None if no file was given. Then there is nothing to ask for.
    """

    def __init__(self, path: Path | None, pem: bytes | None) -> None:
        self.pem = pem
        self._path = path
        self._urls: dict[str, None] = {}  # that were asked for, in their order
        self._tried = 0
        self._has_signed = False

    def fetch(self, url: str, done: Callable[[Answer[bytes]], None], party: Party = OURS, /) -> None:
        """Answer at once."""
        if len(self._urls) < _MOST:
            self._urls[url] = None
        done(Answer(self.pem, None if self.pem is not None else Detail.FETCH_REFUSED, _FOREVER))

    def close(self) -> None:
        """Do nothing."""

    @property
    def is_in_doubt(self) -> bool:
        """Whether it is worth trying the certificate for further tokens: no signature fits so far."""
        return self.pem is not None and not self._has_signed and self._tried < _MOST

    def note(self, *, fits: bool) -> None:
        """Note whether the signature of one more token fits the certificate."""
        self._tried += 1
        self._has_signed |= fits

    def sentences(self) -> Iterator[str]:
        """A warning if no signature fits, or several URLs were asked for: tokens of others then seem to be forged."""
        if self._tried and not self._has_signed:
            tokens = f"any of the {self._tried} tokens" if self._tried > 1 else "the only token"
            yield f"warning: {self._path} did not sign {tokens} that it was tried for"
            return
        if len(self._urls) < 2:
            return
        urls = list(self._urls)
        named = ", ".join(url[:_LONGEST] for url in urls[:_SHOWN]) + (", …" if len(urls) > _SHOWN else "")
        count = f"{len(urls)}{' or more' if len(urls) == _MOST else ''} URLs"
        yield (
            f"warning: {self._path} was taken for the certificate of {count}: {named}. By it, the tokens of other"
            f" signers are invalid.bad-signature. Give each its own instead: {how_to_add(None, urls[0])}"
        )
