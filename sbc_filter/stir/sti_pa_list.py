"""The STI-PA's list of approved certification authorities (ATIS-1000084; S-091): a JWT with trust anchors.

Header, as written by the STI-PA of the United States: {"alg":"ES256","typ":"JWT","x5u":…}; x5c is accepted too.
Payload: {"version":"1.0","sequence":n,"exp":seconds,"trustList":["-----BEGIN CERTIFICATE-----…", …]}.
"""

from binascii import a2b_base64
from collections.abc import Sequence
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.errors import CertificateError, VerificationError
from sbc_filter.outcomes import Detail
from sbc_filter.pki import tnauthlist
from sbc_filter.pki.certificate import MAX_CERTIFICATES, PARSE_ERRORS, Certificate, name_key, parse_certificates
from sbc_filter.pki.path import Anchors, Faults, Path, check_curves, check_dates, check_extensions, check_issuers, paths
from sbc_filter.pki.signed_der import is_plain
from sbc_filter.stir.passport import decode_segment
from sbc_filter.stir.signature import verify_es256
from sbc_filter.strict_json import strict_loads
from sbc_filter.utc import utc_text

MAX_LIST = 4 << 20  # octets; the real list has about 100 KiB
_MAX_ENTRIES = 10_000  # certificates: bounds the work that a faulty list can cause
_SIGNING_OF_JWTS = "1.3.6.1.5.5.7.3.37"  # id-kp-jwt (RFC 9509 §3)
_LATEST = 1 << 33  # POSIX seconds (the year 2242): a greater `exp` is not plausible


class TrustList(NamedTuple):
    """A list with a verified signature. `expires`: POSIX seconds; `unreadable`: number of entries without a
    certificate."""

    sequence: int
    expires: float
    anchors: tuple[Certificate, ...]
    unreadable: int


def read_trust_list(data: bytes, roots: Sequence[Certificate], now: float | None) -> TrustList:
    """Parse and verify a list: the token alone, or the unmodified response of the STI-PA's API, {"caList": token, …}.

    The signer's certificate is one of `roots`, or it comes with the list (x5c), leads to one of them, and has the
    purpose of signing JWTs (RFC 9509 §3) in its extendedKeyUsage. No other certificate below a root signs lists: the
    root may have issued it for calls, for CRLs or for a web server. The signer's path and `exp` are checked at `now`
    (POSIX seconds); with None the time is not checked. Raises `ValueError` with the fault.
    """
    if len(data) > MAX_LIST:
        raise ValueError(f"it is larger than {MAX_LIST >> 20} MiB")
    token = data.strip()
    if token.startswith(b"{"):
        token = str(_object(token).get("caList")).encode()
    try:
        header, payload, signature = token.split(b".")
        jose, claims = _object(decode_segment(header)), _object(decode_segment(payload))
    except (VerificationError, ValueError):
        raise ValueError("it is not a signed list: three parts of base64url, of which the first two are JSON") from None
    if jose.get("alg") != "ES256" or "crit" in jose:  # an allow-list of one algorithm (S-002)
        raise ValueError("its header asks for something other than ES256")
    _check_signature(b"%b.%b" % (header, payload), signature, _signers(jose, roots, now))
    return _read_claims(claims, now)


def _signers(jose: dict[str, Any], roots: Sequence[Certificate], now: float | None) -> Sequence[Certificate]:
    """The certificates that may have signed it: the one that it carries, if it leads to a root, else the roots."""
    chain = jose.get("x5c")
    faults = Faults()
    if chain is None:
        found = []
        for root in roots:
            with faults.collecting():
                _check_signer((root,), now)
                found.append(root)
        return found
    if not isinstance(chain, list) or not 1 <= len(chain) <= MAX_CERTIFICATES:
        raise ValueError("x5c in its header is not a list of certificates")
    try:
        given = [Certificate.parse(a2b_base64(str(each).encode(), strict_mode=True)) for each in chain]
    except PARSE_ERRORS as error:
        raise ValueError(f"a certificate in its header cannot be read: {error}") from None
    with faults.collecting():
        for path in paths(given[0], given, Anchors(roots), faults):
            with faults.collecting():
                faults.passed()
                _check_signer(path, now)
                return given[:1]
    raise ValueError(f"its signer is not trusted: {faults.furthest()}")


def _check_signer(path: Path, now: float | None) -> None:
    """Raise `CertificateError` unless the first certificate of the path may sign lists."""
    signer = path[0]
    if not is_plain(signer.parsed.public_key()):
        raise CertificateError(Detail.CERTIFICATE_KEY, "its key is not on the curve P-256")
    if not signer.usage("digital_signature"):
        raise CertificateError(Detail.CERTIFICATE_PROFILE, "its key may not sign")
    if len(path) > 1 and not _is_for_lists(signer):
        sentence = "it is for other purposes: name it in trust_list_root, or have it made for signing JWTs (RFC 9509)"
        raise CertificateError(Detail.CERTIFICATE_PROFILE, sentence)
    if now is not None:
        check_dates(path, now)
    check_curves(path)
    check_extensions(path)
    check_issuers(path)


def _is_for_lists(signer: Certificate) -> bool:
    purposes = signer.extension(x509.ExtendedKeyUsage) or ()
    signs_tokens = any(each.dotted_string == _SIGNING_OF_JWTS for each in purposes)
    return signs_tokens and signer.octets_of(tnauthlist.OID) is None


def _check_signature(signed: bytes, signature: bytes, signers: Sequence[Certificate]) -> None:
    for signer in signers:
        key = signer.parsed.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        try:
            return verify_es256(key, signed, signature)
        except VerificationError:
            continue
    raise ValueError("its signature is by none of the certificates in trust_list_root, nor by one that leads to them")


def _read_claims(claims: dict[str, Any], now: float | None) -> TrustList:
    version, sequence, expires, listed = (claims.get(name) for name in ("version", "sequence", "exp", "trustList"))
    if str(version).partition(".")[0] != "1":
        raise ValueError("its version is not 1")
    if not isinstance(sequence, int) or isinstance(sequence, bool) or sequence < 0:
        raise ValueError("it has no sequence number")
    if not isinstance(expires, int | float) or isinstance(expires, bool) or not 0 <= expires < _LATEST:
        raise ValueError("it has no time of expiry (exp)")
    if now is not None and now > expires:
        raise ValueError(f"it was valid until {utc_text(expires)} UTC")
    if not isinstance(listed, list) or not 1 <= len(listed) <= _MAX_ENTRIES:
        raise ValueError("it has no trustList")
    anchors: list[Certificate] = []
    unreadable = 0
    for entry in listed:
        try:
            anchors += _authorities(entry)
        except (CertificateError, *PARSE_ERRORS):
            unreadable += 1  # a list with one authority less is better than no list
    if not anchors:
        raise ValueError("no certificate in its trustList can be read")
    return TrustList(sequence, float(expires), tuple(dict.fromkeys(anchors)), unreadable)


def _authorities(entry: object) -> tuple[Certificate, ...]:
    """The certificates of one entry; raises one of `PARSE_ERRORS` if a part that is needed later cannot be read."""
    if not isinstance(entry, str):
        raise ValueError("an entry that is not a string")
    found = parse_certificates(entry.encode())
    for each in found:
        parsed = each.parsed
        for part in (parsed.public_key, parsed.subject.rfc4514_string, parsed.issuer.rfc4514_string):
            part()
        _ = name_key(parsed.subject), parsed.extensions, parsed.not_valid_before_utc, parsed.not_valid_after_utc
    return found


def _object(data: bytes) -> dict[str, Any]:
    try:
        found = strict_loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is not a JSON object")
    return found
