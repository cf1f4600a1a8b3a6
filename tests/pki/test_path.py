"""S-082, S-090, S-093: certification paths (RFC 5280 §6).

`openssl verify` judges the same chains where it can: it knows nothing of SHAKEN, but of RFC 5280.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from support.chains import (
    DAY,
    ISSUING,
    LEAF,
    LEAF_OCTETS,
    MAKER,
    NOW,
    OTHER,
    ROOT,
    judged,
    make,
    name,
    trusted,
    unknown,
)

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import SigningCertificate
from sbc_filter.pki.trust_store import TrustStore


def openssl(folder: Path, anchor: Any, leaf: Any, *between: Any) -> bool:
    """The verdict of `openssl verify` on the same chain."""
    (folder / "anchor.pem").write_bytes(pem(anchor.certificate))
    (folder / "leaf.pem").write_bytes(pem(leaf.certificate))
    (folder / "between.pem").write_bytes(b"".join(pem(each.certificate) for each in between))
    command = ["openssl", "verify", "-attime", str(int(NOW)), "-partial_chain", "-CAfile", "anchor.pem"]
    command += ["-untrusted", "between.pem"] if between else []
    done = subprocess.run([*command, "leaf.pem"], cwd=folder, capture_output=True, text=True, check=False)
    assert "Unable to load" not in done.stderr
    assert "Could not read" not in done.stderr
    return done.returncode == 0


RSA_1024 = rsa.generate_private_key(65537, 1024)


# --- one good path among several


def test_s090_a_good_path_beside_one_that_is_over() -> None:
    key = MAKER.key()
    good = make(ROOT, "Issuing", ca=True, key=key)
    over = make(ROOT, "Issuing", ca=True, key=key, days=(-10, -1))
    leaf = make(good)
    assert [trusted(leaf, good, over), trusted(leaf, over, good)] == [True, True]
    assert judged(leaf, over) is Detail.EXPIRED


def test_s090_a_good_path_beside_one_that_cannot_be_followed() -> None:
    """A certificate of the issuer's name whose key is not for us, and one that the library cannot read."""
    good = make(ROOT, "Issuing", ca=True)
    foreign = make(ROOT, "Issuing", ca=True, key=RSA_1024)
    x400 = unknown("2.5.29.17", bytes.fromhex("3002a300"))
    odd = make(ROOT, "Issuing", ca=True, key=good.key, extensions=[(x400, False)])
    leaf = make(good)
    for beside, detail in ((foreign, Detail.CERTIFICATE_KEY), (odd, Detail.CERTIFICATE_UNREADABLE)):
        assert [trusted(leaf, good, beside), trusted(leaf, beside, good)] == [True, True]
        assert judged(leaf, beside) is detail


# --- signatures and names: openssl as the oracle


FORGED = Authority(x509.load_der_x509_certificate(LEAF_OCTETS[:-1] + bytes((LEAF_OCTETS[-1] ^ 1,))), LEAF.key)
SUB = make(ROOT, "Sub", ca=True)
SUB_SUB = make(SUB, "Sub Sub", ca=True)


@pytest.mark.parametrize(
    ("chain", "anchor", "good"),
    [
        ((LEAF, ISSUING), ROOT, True),
        ((LEAF,), ISSUING, True),
        ((make(ROOT),), ROOT, True),
        ((make(SUB_SUB), SUB_SUB, SUB), ROOT, True),
        ((make(SUB_SUB), SUB, SUB_SUB), SUB, True),
        ((FORGED, ISSUING), ROOT, False),  # a bit of the signature
        ((make(ROOT, signer=OTHER.root.key),), ROOT, False),  # the name is right, the key is not
        ((LEAF, OTHER.issuing), ROOT, False),
        ((OTHER.leaf, OTHER.issuing), ROOT, False),
        ((OTHER.leaf, ISSUING), ROOT, False),
        ((LEAF, ISSUING), OTHER.root, False),
        ((make(ROOT, issuer=name("Somebody")),), ROOT, False),  # the key is right, the name is not
        ((LEAF,), ROOT, False),
    ],
)
def test_s093_names_and_signatures(chain: tuple[Authority, ...], anchor: Authority, good: bool, tmp_path: Path) -> None:
    assert openssl(tmp_path, anchor, *chain) is good
    found = judged(*chain, anchors=[anchor])
    assert (isinstance(found, SigningCertificate), found is Detail.UNTRUSTED_CHAIN) == (good, not good)


FLAT = make(ROOT, "Flat", ca=True, limit=0)
NO_CA = make(ROOT, "No CA", ca=False)
NO_FLAG = make(ROOT, "No flag", ca=None)
NO_SIGNER = make(ROOT, "No signer", ca=True, usage="digital_signature crl_sign")
OVER = make(ROOT, "Over", ca=True, days=(-10, -1))
LATER = make(ROOT, "Later", ca=True, days=(1, 100))
BELOW_FLAT = make(FLAT, "Below", ca=True)
ONE = make(ROOT, "One", ca=True, limit=1)
BELOW_ONE = make(ONE, "Below", ca=True)
CRITICAL = make(ROOT, "Critical", ca=True, extensions=[(unknown("1.2.3.4", b"\x05\x00"), True)])
BELOW_CRITICAL = make(CRITICAL, "Below", ca=True)
NOT_CRITICAL = make(ROOT, "Not critical", ca=True, extensions=[(unknown("1.2.3.4", b"\x05\x00"), False)])
FLAT_ROOT = make(None, "Flat root", ca=True, limit=0)
BELOW_FLAT_ROOT = make(FLAT_ROOT, "Below", ca=True)


@pytest.mark.parametrize(
    ("chain", "anchor", "detail"),
    [
        ((make(FLAT), FLAT), ROOT, None),
        ((make(BELOW_FLAT), BELOW_FLAT, FLAT), ROOT, Detail.UNTRUSTED_CHAIN),  # pathLen 0
        ((make(BELOW_ONE), BELOW_ONE, ONE), ROOT, None),
        ((make(FLAT_ROOT),), FLAT_ROOT, None),
        ((make(BELOW_FLAT_ROOT), BELOW_FLAT_ROOT), FLAT_ROOT, Detail.UNTRUSTED_CHAIN),  # of the anchor, too
        ((make(NO_CA), NO_CA), ROOT, Detail.CERTIFICATE_PROFILE),
        ((make(NO_FLAG), NO_FLAG), ROOT, Detail.CERTIFICATE_PROFILE),
        ((make(NO_SIGNER), NO_SIGNER), ROOT, Detail.CERTIFICATE_PROFILE),
        ((make(OVER), OVER), ROOT, Detail.EXPIRED),
        ((make(LATER), LATER), ROOT, Detail.NOT_YET_VALID),
        ((make(ROOT, days=(-10, -1)),), ROOT, Detail.EXPIRED),
        ((make(ROOT, days=(1, 100)),), ROOT, Detail.NOT_YET_VALID),
        ((make(ROOT, extensions=[(unknown("1.2.3.4", b"\x05\x00"), True)]),), ROOT, Detail.CRITICAL_EXTENSION),
        ((make(ROOT, extensions=[(unknown("1.2.3.4", b"\x05\x00"), False)]),), ROOT, None),
        ((make(CRITICAL), CRITICAL), ROOT, Detail.CRITICAL_EXTENSION),  # of an issuer, too
        ((make(BELOW_CRITICAL), BELOW_CRITICAL, CRITICAL), ROOT, Detail.CRITICAL_EXTENSION),
        ((make(NOT_CRITICAL), NOT_CRITICAL), ROOT, None),
    ],
)
def test_s082_s093_what_rfc_5280_asks_for(
    chain: tuple[Authority, ...], anchor: Authority, detail: Detail | None, tmp_path: Path
) -> None:
    assert openssl(tmp_path, anchor, *chain) is (detail is None)
    found = judged(*chain, anchors=[anchor])
    assert found is detail if detail else isinstance(found, SigningCertificate)


@pytest.mark.parametrize(
    ("at", "found"),
    [
        (NOW - 3600, None),
        (NOW - 3601, Detail.NOT_YET_VALID),
        (NOW - 3600 + 100 * DAY, None),
        (NOW - 3600 + 100 * DAY + 1, Detail.EXPIRED),
    ],
)
def test_s093_the_moment_counts(at: float, found: Detail | None) -> None:
    assert (judged(make(SUB), SUB, at=at) if found else None) is found
    assert trusted(make(SUB), SUB, at=at) is (found is None)


def test_s093_the_whole_path_has_to_be_valid_for_the_whole_time() -> None:
    short = make(ROOT, "Short", ca=True, days=(-5, 7))
    found = judged(make(short, days=(-2, 50)), short)
    assert isinstance(found, SigningCertificate)
    assert (found.not_before, found.not_after) == (NOW - 3600, NOW - 3600 + 7 * DAY)


def chain_below(count: int) -> list[Any]:
    chain = [ROOT]
    for number in range(count):
        chain.insert(0, make(chain[0], f"CA {number}", ca=True))
    return [make(chain[0]), *chain]


@pytest.mark.parametrize(("count", "good"), [(0, True), (4, True), (5, False)])
def test_paths_are_bounded(count: int, good: bool) -> None:
    assert trusted(*chain_below(count)) is good


def test_cross_signed_certificates_do_not_make_the_search_explode() -> None:
    """Twelve CAs of one name, each signed by the same key: every one could be above every other."""
    key = MAKER.key()
    start = make(None, "Loop", ca=True, key=key)
    loop = [make(start, "Loop", ca=True, key=key) for _ in range(11)]
    assert judged(make(start), *loop) is Detail.UNTRUSTED_CHAIN
    body = b"".join(pem(each.certificate) for each in (make(start), *loop))
    with pytest.raises(CertificateError, match="too many possible paths"):
        TrustStore([ROOT.certificate]).read(body, NOW)


def test_two_issuers_with_three_certificates_each_are_not_too_many() -> None:
    """A CA has several certificates with one key while it renews them, and while another root signs it, too."""
    upper, lower = MAKER.key(), MAKER.key()
    above = [make(ROOT, "Upper", ca=True, key=upper) for _ in range(3)]
    below = [make(above[0], "Lower", ca=True, key=lower) for _ in range(3)]
    assert trusted(make(below[0]), *below, *above)


ON_P384 = [ec.generate_private_key(ec.SECP384R1()) for _ in range(6)]


@pytest.mark.parametrize(("count", "good"), [(5, True), (6, False)])
@pytest.mark.parametrize("true", [0, -1])
def test_a_key_that_is_not_on_p256_counts_six_steps(count: int, good: bool, true: int) -> None:
    """Whether five issuers of one name are checked or six are not does not depend on which of them is the true one."""
    issuers = [make(ROOT, "Issuing", ca=True, key=key) for key in ON_P384[:count]]
    assert trusted(make(issuers[true]), *issuers) is good


def test_the_longest_path_may_have_other_keys() -> None:
    chain = [ROOT]
    for key in ON_P384[:4]:
        chain.insert(0, make(chain[0], f"CA {len(chain)}", ca=True, key=key))
    assert trusted(make(chain[0]), *chain)


def test_certificates_of_one_key_are_checked_once() -> None:
    """Eight times six steps would be too many."""
    issuers = [make(ROOT, "Issuing", ca=True, key=ON_P384[0]) for _ in range(8)]
    assert trusted(make(issuers[0]), *issuers)


@pytest.mark.parametrize("count", [5, 6, 7])
def test_the_order_of_a_file_does_not_matter(count: int) -> None:
    """Cross-signed certificates of which only some lead to an anchor."""
    keys = [MAKER.key() for _ in range(2)]
    lower = [make(ROOT if number == 0 else OTHER.root, "Lower", ca=True, key=keys[0]) for number in range(count)]
    loop = [make(lower[0], "Laboratory Root", ca=True, key=keys[1]) for _ in range(12 - count - 1)]
    leaf = make(lower[0])
    found = {trusted(leaf, *order) for order in ([*lower, *loop], [*loop, *lower], [*reversed(lower), *reversed(loop)])}
    assert len(found) == 1
