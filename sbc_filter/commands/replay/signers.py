"""Who signed: service provider code and subject of the certificate behind an x5u, and whether one certificate did."""

from collections.abc import Iterable
from hashlib import blake2b

from cryptography.x509 import NameOID

from sbc_filter.assembly.certificate_sources import ask
from sbc_filter.calls.call import Call
from sbc_filter.calls.seen_message import SeenMessage
from sbc_filter.certificates.given_certificate import GivenCertificate
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.commands.certificates.inventory import scope_of
from sbc_filter.commands.explain.material import IDENTITY, unfolded
from sbc_filter.commands.explain.plain_reading import DOES_NOT_FIT, FITS, plain_reading
from sbc_filter.errors import VerificationError
from sbc_filter.outcomes import VERIFICATION_OUTCOMES
from sbc_filter.pki.certificate import PARSE_ERRORS, leaf_of, parse_certificates
from sbc_filter.pki.x5u import check_x5u
from sbc_filter.stir.verification import MAX_IDENTITIES

_MOST = 500  # URLs that are looked up
_MOST_TOKENS = 2000  # that are tried
_LONGEST = 64  # characters of a name
_Signer = tuple[str | None, str | None]


def name_signers(calls: Iterable[Call], source: CertificateSource) -> None:
    """Give each call its `signer`, and its `spc` where the token was refused before its certificate was looked at."""
    known: dict[str, _Signer] = {}
    for call in calls:
        if call.x5u is None or (call.x5u not in known and len(known) >= _MOST):
            continue
        if call.x5u not in known:
            known[call.x5u] = _signer(call.x5u, source)
        spc, call.signer = known[call.x5u]
        call.spc = call.spc or spc


class Trial:
    """Tries the certificate of `--certificate` for the tokens of messages that were verified, until it fits one."""

    def __init__(self, given: GivenCertificate) -> None:
        self._given = given
        self._tried: set[bytes] = set()

    @property
    def is_open(self) -> bool:
        """Whether there is something to try. Tokens that cannot be checked count here, so that memory is bounded."""
        return self._given.is_in_doubt and len(self._tried) < _MOST_TOKENS

    def add(self, message: SeenMessage) -> None:
        """Try it for each token of the message that is new."""
        record = message.record
        if not self.is_open or record is None or record.x5u is None or record.outcome not in VERIFICATION_OUTCOMES:
            return
        for value in IDENTITY.findall(unfolded(message.received))[:MAX_IDENTITIES]:
            token = value.partition(b";")[0].strip()
            digest = blake2b(token, digest_size=16).digest()
            if self.is_open and digest not in self._tried:
                self._tried.add(digest)
                signature = plain_reading(token, self._given.pem).signature
                if signature.startswith((FITS, DOES_NOT_FIT)):
                    self._given.note(fits=signature == FITS)


def _signer(url: str, source: CertificateSource) -> _Signer:
    try:
        check_x5u(url)
        pem = ask(source, url).result
        if pem is None:
            return None, None
        certificate = leaf_of(parse_certificates(pem))
        subject = certificate.parsed.subject
        names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        name = str(names[0].value) if names else subject.rfc4514_string()
    except (VerificationError, *PARSE_ERRORS):
        return None, None
    scope = scope_of(certificate)
    return next(iter(scope.spcs), None) if scope is not None else None, name[:_LONGEST]
