"""Who signed: service provider code and subject of the certificate behind an x5u."""

from collections.abc import Iterable

from cryptography.x509 import NameOID

from sbc_filter.assembly.certificate_sources import ask
from sbc_filter.calls.call import Call
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.commands.certificates.inventory import scope_of
from sbc_filter.errors import VerificationError
from sbc_filter.pki.certificate import PARSE_ERRORS, leaf_of, parse_certificates
from sbc_filter.pki.x5u import check_x5u

_MOST = 500  # URLs that are looked up
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
