"""The laboratory's certificates, with openssl as the judge of what is in them (S-080 to S-083, S-092)."""

import re
import subprocess
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from sbc_filter.lab.certificate_maker import CRL_URL, Laboratory, Maker, key_pem, pem
from sbc_filter.pki.tnauthlist import TnAuthList

NOW = 1_800_000_000.0  # Fri, 15 Jan 2027 08:00:00 GMT
LAB = Maker(NOW, "pki").laboratory()


def openssl(*arguments: str, stdin: bytes = b"", cwd: Path | None = None, good: bool = True) -> str:
    done = subprocess.run(["openssl", *arguments], input=stdin, cwd=cwd, capture_output=True, check=False)
    assert (done.returncode == 0) is good, done.stderr.decode()
    return re.sub(r"\s+", " ", (done.stdout + done.stderr).decode())


def text(certificate: bytes) -> str:
    return openssl("x509", "-text", "-noout", "-certopt", "no_sigdump,no_pubkey", stdin=certificate)


def files(lab: Laboratory) -> tuple[bytes, ...]:
    authorities = (lab.root, lab.issuing, lab.leaf)
    keys = tuple(key_pem(each.key) for each in authorities)
    return (*keys, *(pem(each.certificate) for each in authorities), pem(lab.crl), lab.chain)


ALGORITHM = "Signature Algorithm: ecdsa-with-SHA256"
DATES = "Not Before: Jan 15 07:00:00 2027 GMT"
ROOT_NAME = "C = US, O = Laboratory, CN = Laboratory Root"
POLICY = "X509v3 Certificate Policies: Policy: 2.16.840.1.114569.1.1.3"
POINT = f"X509v3 CRL Distribution Points: Full Name: URI:{CRL_URL} CRL Issuer: DirName:{ROOT_NAME}"


@pytest.mark.parametrize(
    ("certificate", "there", "absent"),
    [
        (
            LAB.root.certificate,
            [
                "Issuer: C = US, O = Laboratory, CN = Laboratory Root",
                "Subject: C = US, O = Laboratory, CN = Laboratory Root",
                "X509v3 Basic Constraints: critical CA:TRUE X509v3",
                "X509v3 Key Usage: critical Certificate Sign, CRL Sign",
                "X509v3 Subject Key Identifier:",
            ],
            ["Policies", "Distribution", "1.3.6.1.5.5.7.1.26"],
        ),
        (
            LAB.issuing.certificate,
            [
                "Issuer: C = US, O = Laboratory, CN = Laboratory Root",
                "Subject: C = US, O = Laboratory, CN = Laboratory Issuing CA",
                "X509v3 Basic Constraints: critical CA:TRUE, pathlen:0",
                "X509v3 Key Usage: critical Certificate Sign X509v3",
                POLICY,
                POINT,
            ],
            ["1.3.6.1.5.5.7.1.26"],
        ),
        (
            LAB.leaf.certificate,
            [
                "Issuer: C = US, O = Laboratory, CN = Laboratory Issuing CA",
                "Subject: C = US, O = Laboratory, CN = SHAKEN 1234",
                "X509v3 Basic Constraints: critical CA:FALSE",
                "X509v3 Key Usage: critical Digital Signature 1.3",
                "1.3.6.1.5.5.7.1.26: 0.....1234",
                POLICY,
                POINT,
            ],
            ["Certificate Sign"],
        ),
    ],
    ids=["root", "issuing", "leaf"],
)
def test_s082_what_openssl_reads(certificate: x509.Certificate, there: list[str], absent: list[str]) -> None:
    read = text(pem(certificate))
    assert [part for part in (*there, ALGORITHM, DATES, "Version: 3 (0x2)") if part not in read] == []
    assert [part for part in absent if part in read] == []


def test_s080_the_octets_of_the_tnauthlist() -> None:
    """Named by OID: openssl knows no such extension."""
    read = openssl("asn1parse", stdin=pem(LAB.leaf.certificate))
    assert "OBJECT :1.3.6.1.5.5.7.1.26" in read
    assert "OCTET STRING [HEX DUMP]:3008A006160431323334" in read


def test_s082_the_key_identifiers_chain() -> None:
    found = {}
    for name, authority in (("root", LAB.root), ("issuing", LAB.issuing), ("leaf", LAB.leaf)):
        asked = ("-noout", "-ext", "subjectKeyIdentifier,authorityKeyIdentifier")
        read = openssl("x509", *asked, stdin=pem(authority.certificate))
        found[name] = re.findall(r"(?:[0-9A-F]{2}:){19}[0-9A-F]{2}", read)
    assert len(found["root"]) == 1
    assert found["root"][0] in found["issuing"]
    assert set(found["issuing"]) & set(found["leaf"]) == set(found["issuing"]) - set(found["root"])


def test_openssl_verifies_the_chain(tmp_path: Path) -> None:
    for name, content in (
        ("root.pem", pem(LAB.root.certificate)),
        ("issuing.pem", pem(LAB.issuing.certificate)),
        ("leaf.pem", pem(LAB.leaf.certificate)),
        ("other.pem", pem(Maker(NOW, "other").root().certificate)),
    ):
        (tmp_path / name).write_bytes(content)
    at = ["verify", "-attime", str(int(NOW)), "-x509_strict", "-CAfile"]
    assert openssl(*at, "root.pem", "-untrusted", "issuing.pem", "leaf.pem", cwd=tmp_path) == "leaf.pem: OK "
    read = openssl(*at, "root.pem", "leaf.pem", cwd=tmp_path, good=False)
    assert "unable to get local issuer certificate" in read
    openssl(*at, "other.pem", "-untrusted", "issuing.pem", "leaf.pem", cwd=tmp_path, good=False)
    late = ["verify", "-attime", str(int(NOW) + 400 * 86400), "-CAfile", "root.pem", "-untrusted", "issuing.pem"]
    assert "certificate has expired" in openssl(*late, "leaf.pem", cwd=tmp_path, good=False)


def test_s092_the_list(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_bytes(pem(LAB.root.certificate))
    read = openssl("crl", "-text", "-noout", "-CAfile", "root.pem", stdin=pem(LAB.crl), cwd=tmp_path)
    assert "verify OK" in read
    for part in (
        "Version 2 (0x1)",
        ALGORITHM,
        "Issuer: C = US, O = Laboratory, CN = Laboratory Root",
        "Last Update: Jan 15 07:00:00 2027 GMT",
        "Next Update: Jan 15 07:00:00 2028 GMT",
        "X509v3 CRL Number: 1",
        f"X509v3 Issuing Distribution Point: critical Full Name: URI:{CRL_URL} Indirect CRL",
        "No Revoked Certificates.",
    ):
        assert part in read


def test_s092_every_entry_names_its_issuer() -> None:
    made = Maker(NOW, "revoked").crl(LAB.root, (LAB.leaf.certificate, LAB.issuing.certificate))
    read = openssl("crl", "-text", "-noout", stdin=pem(made))
    assert read.count("X509v3 Certificate Issuer: critical") == 2
    assert f"Serial Number: {LAB.leaf.certificate.serial_number:X}" in read
    assert "DirName:/C=US/O=Laboratory/CN=Laboratory Issuing CA" in read
    assert "DirName:/C=US/O=Laboratory/CN=Laboratory Root" in read


def test_the_keys() -> None:
    for authority in (LAB.root, LAB.issuing, LAB.leaf):
        read = openssl("pkey", "-text", "-noout", stdin=key_pem(authority.key))
        assert "ASN1 OID: prime256v1 NIST CURVE: P-256" in read
        public = openssl("pkey", "-pubout", stdin=key_pem(authority.key))
        assert public == openssl("x509", "-pubkey", "-noout", stdin=pem(authority.certificate))


def test_the_same_seed_makes_the_same_bytes() -> None:
    assert files(Maker(NOW, "pki").laboratory()) == files(LAB)
    assert files(Maker(NOW + 0.9, "pki").laboratory()) == files(LAB)


@pytest.mark.parametrize(("now", "seed"), [(NOW, "another"), (NOW, None)])
def test_another_seed_or_none_makes_others(now: float, seed: str | None) -> None:
    made = files(Maker(now, seed).laboratory())
    assert not set(made) & set(files(LAB))
    assert not set(made) & set(files(Maker(now, None).laboratory()))


def test_all_keys_and_serials_of_a_maker_differ() -> None:
    maker = Maker(NOW, "pki")
    root = maker.root()
    leaves = [maker.leaf(root) for _ in range(50)]
    assert len({leaf.certificate.serial_number for leaf in leaves}) == 50
    assert len({leaf.key.private_numbers().private_value for leaf in leaves}) == 50
    assert all(0 < leaf.certificate.serial_number < 2**159 for leaf in leaves)  # RFC 5280 §4.1.2.2


def test_a_leaf_to_order() -> None:
    maker, key = Maker(NOW, "order"), ec.generate_private_key(ec.SECP256R1())
    leaf = maker.leaf(LAB.root, TnAuthList((), (("12155551000", 1000),)), days=2, key=key)
    read = text(pem(leaf.certificate))
    assert "Not After : Jan 17 07:00:00 2027 GMT" in read
    assert "CN = SHAKEN X509v3 extensions" in read  # no SPC to name
    assert leaf.key is key
