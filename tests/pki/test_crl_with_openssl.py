"""RFC 5280 §6.3.3 as a table: list × certificate × policy, with the verdict of `openssl verify -crl_check` beside ours.

All certificates are issued by CA Y. X and PA are further trust anchors, which issue nothing here. SIGNER is one of
`crl_signers`.
"""

import re
import subprocess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.chains import NOW, crl, judged, make, name, unknown
from support.large_lists import certificate_issuer, entry, extension, signed

from sbc_filter.lab.certificate_maker import pem
from sbc_filter.outcomes import Detail
from sbc_filter.pki import der

GOOD, REVOKED, UNAVAILABLE = "good", "revoked", "crl-unavailable"
SIGNS = "key_cert_sign crl_sign"
CA_Y, CA_X, SIGNER = (make(None, each, ca=True, usage=SIGNS) for each in ("CA Y", "CA X", "SIGNER"))
PA = make(CA_Y, "PA", ca=True, usage=SIGNS)  # below CA Y: openssl accepts no list of another anchor
MUTE = make(None, "MUTE", ca=True, usage="key_cert_sign")
ANCHORS = [CA_Y, CA_X, PA, MUTE]
COMPROMISED = frozenset({x509.ReasonFlags.key_compromise})
URL, OTHER_URL = (x509.UniformResourceIdentifier(f"http://y.example/{each}") for each in ("crl", "other"))


def leaf(
    *names: x509.GeneralName,
    of: Any = None,
    relative: str = "",
    reasons: frozenset[x509.ReasonFlags] | None = None,
    parent: Any = CA_Y,
) -> Any:
    """A leaf whose distribution point has these names, and this cRLIssuer; it has none without either."""
    if not (names or of or relative):
        return make(parent)
    last = x509.RelativeDistinguishedName(name(relative).rdns[0]) if relative else None
    issuer = [x509.DirectoryName(of.certificate.subject)] if of else None
    points = x509.CRLDistributionPoints([x509.DistributionPoint(names or None, last, reasons, issuer)])
    return make(parent, extensions=((points, False),))


PLAIN, POINT, AT_PA, AT_PA_ONLY, AT_SIGNER = leaf(), leaf(URL), leaf(URL, of=PA), leaf(of=PA), leaf(URL, of=SIGNER)
SOME, RELATIVE, BELOW_MUTE = leaf(URL, reasons=COMPROMISED), leaf(relative="p"), leaf(parent=MUTE)


def idp(*names: x509.GeneralName, relative: str = "", indirect: bool = False, **how: Any) -> Any:
    """The extension issuingDistributionPoint."""
    last = x509.RelativeDistinguishedName(name(relative).rdns[0]) if relative else None
    flags = {
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(names or None, last, indirect_crl=indirect, **{**flags, **how}), True


def a_list(signer: Any = CA_Y, *revoked: Any, point: Any = None, **how: Any) -> bytes:
    """DER of a list; in an indirect one each entry names the certificate's issuer."""
    indirect = point is not None and point[0].indirect_crl
    entries = [(each.certificate.serial_number, each.certificate.issuer if indirect else None) for each in revoked]
    more = [*([point] if point else []), *how.pop("extensions", [])]
    made: Any = crl(signer, *entries, indirect=False, extensions=more, **how)
    return bytes(made.public_bytes(Encoding.DER))


def by_octets(signer: Any, *entries: bytes, point: Any = None) -> bytes:
    encoded = extension("1c", point[0].public_bytes(), critical=True) if point else b""
    return signed(signer, entries, idp=encoded)


def serial(certificate: Any) -> bytes:
    number = certificate.certificate.serial_number
    return bytes(number.to_bytes(number.bit_length() // 8 + 1, "big"))


INDIRECT = idp(indirect=True)
CAPITALS = x509.UniformResourceIdentifier("HTTP://Y.Example/crl")
Y_DIRECTORY, PA_DIRECTORY = (x509.DirectoryName(each.certificate.subject) for each in (CA_Y, PA))
OF_Y, OF_X = (certificate_issuer(each.certificate.subject) for each in (CA_Y, CA_X))
OF_Z_AND_Y = certificate_issuer(name("Zz"), CA_Y.certificate.subject)
REMOVED, HELD = (extension("15", bytes.fromhex(f"0a01{reason}")) for reason in ("08", "06"))
DELTA = x509.DeltaCRLIndicator(1)
STRANGE = unknown("1.2.3.4", b"\x05\x00"), True
STRANGE_ENTRY = der.encode(0x30, bytes.fromhex("06032a0304 0101ff 0402 0500"))


class Row(NamedTuple):
    """What a list says of a certificate under both policies; `openssl`: 0 or the number of its error."""

    lists: list[bytes]
    leaf: Any
    soft: str
    hard: str
    openssl: int


ROWS = {
    # (a) lists in time (§5.1.2.4, §5.1.2.5)
    "none": Row([], PLAIN, GOOD, UNAVAILABLE, 3),
    "complete": Row([a_list()], PLAIN, GOOD, GOOD, 0),
    "named": Row([a_list(CA_Y, PLAIN)], PLAIN, REVOKED, REVOKED, 23),
    "expired": Row([a_list(days=(-9, -1))], PLAIN, GOOD, UNAVAILABLE, 12),
    "expired, named": Row([a_list(CA_Y, PLAIN, days=(-9, -1))], PLAIN, REVOKED, REVOKED, 23),
    "of the future": Row([a_list(days=(5, 9))], PLAIN, GOOD, UNAVAILABLE, 11),
    "of the future, named": Row([a_list(CA_Y, PLAIN, days=(5, 9))], PLAIN, GOOD, UNAVAILABLE, 23),
    "of the future, and one of today": Row([a_list(days=(5, 9)), a_list()], PLAIN, GOOD, GOOD, 0),
    # (b)(1) the issuer of the list
    "X": Row([a_list(CA_X)], PLAIN, GOOD, UNAVAILABLE, 3),
    "X, indirect": Row([a_list(CA_X, point=INDIRECT)], PLAIN, GOOD, UNAVAILABLE, 3),
    "X, indirect, named": Row([a_list(CA_X, PLAIN, point=INDIRECT)], PLAIN, GOOD, UNAVAILABLE, 3),
    "X, indirect, not the cRLIssuer": Row([a_list(CA_X, AT_PA, point=INDIRECT)], AT_PA, GOOD, UNAVAILABLE, 3),
    "cRLIssuer": Row([a_list(PA, point=INDIRECT)], AT_PA, GOOD, GOOD, 0),
    "cRLIssuer, named": Row([a_list(PA, AT_PA, point=INDIRECT)], AT_PA, REVOKED, REVOKED, 23),
    "cRLIssuer, not indirect": Row([a_list(PA)], AT_PA, GOOD, UNAVAILABLE, 3),
    "issuer, while another is cRLIssuer": Row([a_list()], AT_PA, GOOD, GOOD, 0),
    "signer, no cRLIssuer": Row([a_list(SIGNER, point=INDIRECT)], PLAIN, GOOD, GOOD, 44),
    "signer, named": Row([a_list(SIGNER, PLAIN, point=INDIRECT)], PLAIN, REVOKED, REVOKED, 44),
    "signer, not indirect": Row([a_list(SIGNER)], PLAIN, GOOD, UNAVAILABLE, 3),
    "signer, as cRLIssuer": Row([a_list(SIGNER, point=INDIRECT)], AT_SIGNER, GOOD, GOOD, 54),
    # (b)(2)(i) the distribution point of the list
    "point": Row([a_list(point=idp(URL))], POINT, GOOD, GOOD, 0),
    "point, one of two names": Row([a_list(point=idp(OTHER_URL, URL))], POINT, GOOD, GOOD, 0),
    "point, host in capitals": Row([a_list(point=idp(CAPITALS))], POINT, GOOD, GOOD, 44),
    "other point": Row([a_list(point=idp(OTHER_URL))], POINT, GOOD, UNAVAILABLE, 44),
    "other point, named": Row([a_list(CA_Y, POINT, point=idp(OTHER_URL))], POINT, REVOKED, REVOKED, 44),
    "point, the certificate has none": Row([a_list(point=idp(URL))], PLAIN, GOOD, UNAVAILABLE, 44),
    "point of the issuer's name": Row([a_list(point=idp(Y_DIRECTORY))], PLAIN, GOOD, GOOD, 44),
    "point, of the cRLIssuer": Row([a_list(PA, point=idp(URL, indirect=True))], AT_PA, GOOD, GOOD, 0),
    "other point, of the cRLIssuer": Row(
        [a_list(PA, point=idp(OTHER_URL, indirect=True))], AT_PA, GOOD, UNAVAILABLE, 44
    ),
    "point of the cRLIssuer's name": Row(
        [a_list(PA, point=idp(PA_DIRECTORY, indirect=True))], AT_PA_ONLY, GOOD, GOOD, 0
    ),
    "other point, of a signer": Row([a_list(SIGNER, point=idp(OTHER_URL, indirect=True))], POINT, GOOD, GOOD, 44),
    "other point, of a signer as cRLIssuer": Row(
        [a_list(SIGNER, point=idp(OTHER_URL, indirect=True))], AT_SIGNER, GOOD, UNAVAILABLE, 44
    ),
    "relative names": Row([a_list(point=idp(relative="p"))], RELATIVE, GOOD, GOOD, 0),
    "other relative name": Row([a_list(point=idp(relative="q"))], RELATIVE, GOOD, UNAVAILABLE, 44),
    # (b)(2)(ii) to (iv) kinds of certificates
    "users only": Row([a_list(point=idp(only_contains_user_certs=True))], PLAIN, GOOD, GOOD, 0),
    "authorities only": Row([a_list(point=idp(only_contains_ca_certs=True))], PLAIN, GOOD, UNAVAILABLE, 44),
    "attributes only": Row([a_list(point=idp(only_contains_attribute_certs=True))], PLAIN, GOOD, UNAVAILABLE, 44),
    "attributes only, named": Row(
        [a_list(CA_Y, PLAIN, point=idp(only_contains_attribute_certs=True))], PLAIN, GOOD, UNAVAILABLE, 44
    ),
    # (c) deltas (§5.2.4); (d), (e) some reasons
    "delta": Row([a_list(extensions=[(DELTA, True)])], PLAIN, GOOD, UNAVAILABLE, 3),
    "delta, named": Row([a_list(CA_Y, PLAIN, extensions=[(DELTA, True)])], PLAIN, GOOD, UNAVAILABLE, 3),
    "delta, not critical": Row([a_list(extensions=[(DELTA, False)])], PLAIN, GOOD, UNAVAILABLE, 3),
    "delta that is empty, base that names": Row(
        [a_list(CA_Y, PLAIN), a_list(extensions=[(DELTA, True)])], PLAIN, REVOKED, REVOKED, 23
    ),
    "some reasons": Row([a_list(point=idp(only_some_reasons=COMPROMISED))], PLAIN, GOOD, UNAVAILABLE, 3),
    "some reasons, named": Row(
        [a_list(CA_Y, PLAIN, point=idp(only_some_reasons=COMPROMISED))], PLAIN, REVOKED, REVOKED, 23
    ),
    "point for some reasons": Row([a_list(point=idp(URL))], SOME, GOOD, UNAVAILABLE, 3),
    # (f), (g) the signer
    "another key": Row([a_list(key=CA_X.key)], PLAIN, GOOD, UNAVAILABLE, 8),
    "another key, named": Row([a_list(CA_Y, PLAIN, key=CA_X.key)], PLAIN, GOOD, UNAVAILABLE, 8),
    "no cRLSign": Row([a_list(MUTE)], BELOW_MUTE, GOOD, UNAVAILABLE, 35),
    # (i) entries (§5.3)
    "another serial number": Row([by_octets(CA_Y, entry(b"\x07"))], PLAIN, GOOD, GOOD, 0),
    "removeFromCRL": Row([by_octets(CA_Y, entry(serial(PLAIN), REMOVED))], PLAIN, GOOD, GOOD, 0),
    "on hold": Row([by_octets(CA_Y, entry(serial(PLAIN), HELD))], PLAIN, REVOKED, REVOKED, 23),
    "other issuer, not indirect": Row([by_octets(CA_X, entry(serial(PLAIN), OF_Y))], PLAIN, GOOD, UNAVAILABLE, 3),
    "other issuer": Row([by_octets(CA_Y, entry(serial(PLAIN), OF_X), point=INDIRECT)], PLAIN, GOOD, GOOD, 0),
    "own issuer": Row([by_octets(CA_Y, entry(serial(PLAIN), OF_Y))], PLAIN, REVOKED, REVOKED, 23),
    "issuer stays": Row(
        [by_octets(PA, entry(b"\x07", OF_Y), entry(serial(AT_PA)), point=INDIRECT)], AT_PA, REVOKED, REVOKED, 23
    ),
    "issuer changes": Row(
        [by_octets(PA, entry(b"\x07", OF_Y), entry(serial(AT_PA), OF_X), point=INDIRECT)], AT_PA, GOOD, GOOD, 0
    ),
    "second name": Row([by_octets(PA, entry(serial(AT_PA), OF_Z_AND_Y), point=INDIRECT)], AT_PA, REVOKED, REVOKED, 23),
    # §5.2, §5.3: unknown critical extensions
    "strange": Row([a_list(extensions=[STRANGE])], PLAIN, GOOD, UNAVAILABLE, 36),
    "strange, named": Row([a_list(CA_Y, PLAIN, extensions=[STRANGE])], PLAIN, REVOKED, REVOKED, 36),
    "strange entry": Row([by_octets(CA_Y, entry(b"\x07", STRANGE_ENTRY))], PLAIN, GOOD, UNAVAILABLE, 36),
}


def by_openssl(row: Row, folder: Path) -> int:
    """0, or the number of its last error."""
    files = {
        "anchors": [pem(each.certificate) for each in ANCHORS],
        "signers": [pem(each.certificate) for each in (SIGNER, PA)],
        "leaf": [pem(row.leaf.certificate)],
        "lists": [pem(x509.load_der_x509_crl(each)) for each in row.lists],
    }
    for file, parts in files.items():
        (folder / file).write_bytes(b"".join(parts))
    command = ["openssl", "verify", "-attime", str(int(NOW)), "-crl_check", "-extended_crl", "-CAfile", "anchors"]
    command += ["-untrusted", "signers", *(["-CRLfile", "lists"] if row.lists else []), "leaf"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    errors = re.findall(r"error (\d+) at", done.stderr)
    assert bool(errors) == bool(done.returncode), done.stderr
    return int(errors[-1]) if errors else 0


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_rfc5280_6_3_3(row: Row, tmp_path: Path) -> None:
    verdicts = []
    for policy in ("soft", "hard"):
        found = judged(row.leaf, anchors=ANCHORS, crls=row.lists, policy=policy, crl_signers=[SIGNER])
        verdicts.append(str(found) if isinstance(found, Detail) else GOOD)
    assert (*verdicts, by_openssl(row, tmp_path)) == (row.soft, row.hard, row.openssl)
