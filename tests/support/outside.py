"""Identities made by others, each a JSON file: the header field value, a key or certificate, and whether they fit.

`verifies` in a file speaks of the signature alone. So each identity is judged twice: its signature over the received
octets by the published key, and the whole of it as a call at its own `iat`, between the parties it names itself, with
a certificate for that key which a laboratory CA made.
"""

import base64
import json
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sbc_filter.errors import VerificationError
from sbc_filter.lab.certificate_maker import Maker
from sbc_filter.pki.certificate import SigningCertificate, parse_certificates
from sbc_filter.pki.trust_store import TrustStore
from sbc_filter.rules.model import VerifyOptions
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.sip.date import format_date
from sbc_filter.sip.message import SipMessage
from sbc_filter.sip.numbers import canonical_number, canonicaliser
from sbc_filter.stir.checks import CertificateRequest, Signalling
from sbc_filter.stir.signature import verify_es256
from sbc_filter.stir.verification import verify
from support.calls import invite
from support.certificates import chain


class Judged(NamedTuple):
    """`expected` is the file's `verifies` (None: no key is known), `signature` whether it fits, `outcome` what becomes
    of the call, `own` what becomes of the certificate that came along when it is an anchor itself."""

    name: str
    expected: bool | None
    signature: bool | None
    outcome: str
    own: str

    @property
    def fault(self) -> bool:
        """Somebody's signature is judged wrongly, or a call passes without one."""
        if self.expected is None:
            return self.outcome == "passed"
        return self.signature is not self.expected or (not self.expected and self.outcome == "passed")


def policy(tolerated: tuple[str, ...] = ()) -> VerifyOptions:
    """`[rule.verify]` with its defaults but for `tolerate`."""
    listed = f"tolerate = {json.dumps(tolerated)}\n" if tolerated else ""
    text = f'[[rule]]\nname = "verify"\naction = "verify"\n[rule.verify]\n{listed}'
    rules, _ = load_rules({"rules.toml": text}, str)
    return rules.rules[0].verify


def judge(path: Path, options: VerifyOptions) -> Judged:
    """One file."""
    file: dict[str, Any] = json.loads(path.read_text())
    value, iat = _value(file), float(file["iat"])
    key = _key(file)
    dated = SipMessage.parse(invite(f"Date: {format_date(int(iat))}"))  # the compact form is rebuilt from it
    call = Signalling(_party(file["orig"]), _party(file["dest"]), iat, message=dated)
    certificate = None if key is None else _certified(key, iat)
    found = verify([value], call, options, lambda _: certificate)
    if isinstance(found, CertificateRequest):
        outcome = "no certificate"
    else:
        outcome = ".".join(filter(None, (found.outcome, found.detail)))
    fits = None if key is None else _fits(file, key)
    return Judged(path.stem, file["verifies"], fits, outcome, _own(file, iat))


def _value(file: dict[str, Any]) -> bytes:
    """The header field value; a bare token gets the parameters that belong to it."""
    value: str = file["identity"]
    if ";" not in value:
        value += f";info=<{file['x5u']}>" + (f";ppt={file['ppt']}" if file.get("ppt") else "")
    return value.encode()


def _key(file: dict[str, Any]) -> ec.EllipticCurvePublicKey | None:
    if file.get("cert_pem"):
        key: Any = x509.load_pem_x509_certificate(file["cert_pem"].encode()).public_key()
    elif file.get("public_key_pem"):
        key = load_pem_public_key(file["public_key_pem"].encode())
    else:
        return None
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key


def _certified(key: ec.EllipticCurvePublicKey, at: float) -> SigningCertificate:
    laboratory = Maker(at).laboratory()
    body = chain(key, issuer=laboratory.issuing, begin=at - 3600, end=at + 86400)
    return TrustStore([laboratory.root.certificate]).validate(parse_certificates(body), at)


def _fits(file: dict[str, Any], key: ec.EllipticCurvePublicKey) -> bool:
    """The signature over the octets as received; in the compact form, over those of RFC 8225 §9 for these claims."""
    header, payload, signature = file["identity"].partition(";")[0].split(".")
    if not header:
        header, payload = (
            base64.urlsafe_b64encode(json.dumps(file[part], separators=(",", ":"), sort_keys=True).encode())
            .decode()
            .rstrip("=")
            for part in ("header", "payload")
        )
    try:
        verify_es256(key, f"{header}.{payload}".encode(), signature.encode())
    except VerificationError:
        return False
    return True


def _party(party: dict[str, Any]) -> str | None:
    """What SIP signalling would have said, canonical."""
    ((kind, said),) = party.items()
    first = said[0] if isinstance(said, list) else said
    return canonical_number(first) if kind == "tn" else canonicaliser()(first.encode())


def _own(file: dict[str, Any], at: float) -> str:
    if not file.get("cert_pem"):
        return ""
    issuers = "".join(file.get("chain_pem", ()))
    try:
        sent = parse_certificates(file["cert_pem"].encode())
        anchors = parse_certificates(issuers.encode()) if issuers else sent
        TrustStore(anchors).validate((*sent, *anchors), at)
    except VerificationError as error:
        return f"its certificate is {error.outcome}.{error.detail} ({error})"
    return "its certificate is good"
