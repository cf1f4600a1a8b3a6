"""Checks that `x5u` serves our certificate (S-094), with the same request as a verifier."""

from collections.abc import Iterator

from cryptography.hazmat.primitives.serialization import Encoding

from sbc_filter.assembly.certificate_sources import ask
from sbc_filter.certificates.fetcher import Fetcher
from sbc_filter.certificates.source import CertificateSource
from sbc_filter.config.settings import CertificateSettings
from sbc_filter.errors import CertificateError
from sbc_filter.pki.certificate import Certificate, leaf_of, parse_certificates
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.stir.credential import Credential

SERVED = "x5u serves this certificate"


def prober(settings: CertificateSettings) -> Fetcher:
    """A fetcher with the settings of `[certificates]`, without folder, command and cache.

    Raises `OSError` when `web_ca` cannot be read.
    """
    return Fetcher(ca_file=settings.web_ca, allowed_networks=settings.allowed_networks, tolerate=settings.tolerate)


def probe(credential: Credential, source: CertificateSource, trust: TrustStore, now: float) -> str:
    """`SERVED`, or what is wrong with the response of `x5u`."""
    answer = ask(source, credential.x5u)
    if answer.result is None:
        return f"x5u cannot be fetched: {answer.detail}"
    try:
        served = parse_certificates(answer.result, tolerate=trust.tolerate)
    except CertificateError as error:
        return f"x5u serves what cannot be read: {error}"
    try:
        leaf = leaf_of(served)
        if leaf.parsed.public_bytes(Encoding.DER) != credential.leaf:
            return f"x5u serves another certificate: {'; '.join(_differences(leaf, credential))}"
        if trust.anchors and credential.not_before <= now <= credential.not_after:
            trust.validate(served, now)
    except CertificateError as error:
        return f"x5u serves what would not verify by your own trust anchors: {error}"
    return SERVED


def _differences(served: Certificate, credential: Credential) -> Iterator[str]:
    ours = Certificate.parse(credential.leaf).parsed
    yield f"serial number {served.parsed.serial_number:x}, ours is {ours.serial_number:x}"
    yield "its key is ours too" if served.parsed.public_key() == ours.public_key() else "its key is another"
