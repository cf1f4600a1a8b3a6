"""S-082 to S-093: what is left of a good chain, in whatever order it comes, and which anchors are believed."""

from itertools import permutations

import pytest
from support.chains import DAY, ISSUING, LAB, LEAF, MAKER, NOW, OTHER, ROOT, SPC, judged, make, trusted

from sbc_filter.errors import CertificateError
from sbc_filter.lab.certificate_maker import Authority, pem
from sbc_filter.outcomes import Detail
from sbc_filter.pki.certificate import SigningCertificate, parse_certificates
from sbc_filter.pki.trust_store import TrustStore

# --- the good path


def test_what_is_left_of_a_good_chain() -> None:
    found = judged(LEAF, ISSUING)
    assert isinstance(found, SigningCertificate)
    assert found.public_key == LEAF.key.public_key()
    assert (found.spc, found.tnauthlist) == ("1234", SPC)
    assert found.subject == "CN=SHAKEN 1234,O=Laboratory,C=US"
    assert found.issuer == "CN=Laboratory Issuing CA,O=Laboratory,C=US"
    assert found.serial == LEAF.certificate.serial_number
    assert (found.not_before, found.not_after) == (NOW - 3600, NOW - 3600 + 365 * DAY)
    assert found.constraints == ()


@pytest.mark.parametrize("chain", list(permutations((LEAF, ISSUING, ROOT))))
def test_s090_any_order_with_the_root(chain: tuple[Authority, ...]) -> None:
    found = judged(*chain)
    assert isinstance(found, SigningCertificate)
    assert found.serial == LEAF.certificate.serial_number


def test_s090_the_set_is_what_counts() -> None:
    assert trusted(ISSUING, LEAF)
    assert trusted(LEAF, OTHER.issuing, OTHER.root, ISSUING)  # strangers of the same names among them
    assert trusted(LEAF, ISSUING, ISSUING, LEAF)
    assert judged(LEAF) is Detail.UNTRUSTED_CHAIN  # the intermediate is missing
    assert trusted(LEAF, anchors=[ISSUING])
    assert trusted(LEAF, anchors=[ROOT, ISSUING])


def test_s090_pem_as_it_comes() -> None:
    text = b"subject=x\n" + LAB.chain.rstrip() + b"\ntrailing words"
    for body in (text, text.replace(b"\n", b"\r\n"), LAB.chain.rstrip()):
        assert TrustStore([ROOT.certificate]).validate(parse_certificates(body), NOW).spc == "1234"


def test_the_path_by_itself() -> None:
    store = TrustStore([ROOT.certificate])
    assert [each.parsed for each in store.path(pem(ISSUING.certificate) + pem(LEAF.certificate), NOW)] == [
        *(LEAF.certificate, ISSUING.certificate, ROOT.certificate)
    ]
    for chain, at, detail in (
        (LAB.chain, NOW + 400 * DAY, Detail.EXPIRED),
        (pem(LEAF.certificate), NOW, Detail.UNTRUSTED_CHAIN),
        (pem(make(ROOT, usage="key_encipherment").certificate), NOW, Detail.CERTIFICATE_PROFILE),
    ):
        with pytest.raises(CertificateError) as caught:
            store.path(chain, at)
        assert caught.value.detail is detail


# --- anchors


def test_an_anchor_need_not_be_self_signed() -> None:
    cross = make(OTHER.root, "Cross", ca=True)
    assert trusted(make(cross), anchors=[cross])
    assert trusted(make(cross), cross, OTHER.root, anchors=[cross])
    assert judged(make(cross), cross, anchors=[ROOT]) is Detail.UNTRUSTED_CHAIN


def test_no_anchor_no_trust() -> None:
    assert judged(LEAF, ISSUING, ROOT, anchors=[]) is Detail.UNTRUSTED_CHAIN


def test_a_root_that_comes_along_is_no_anchor() -> None:
    assert judged(OTHER.leaf, OTHER.issuing, OTHER.root) is Detail.UNTRUSTED_CHAIN


def test_a_leaf_that_signs_itself_is_nobody() -> None:
    assert judged(make(None, "SHAKEN 1234")) is Detail.UNTRUSTED_CHAIN


@pytest.mark.parametrize("order", [1, -1])
def test_s090_an_anchor_renewed_with_its_key(order: int) -> None:
    """Two certificates for one name and one key, one of them over: both are in the folder for a while."""
    key = MAKER.key()
    old = make(None, "Root", ca=True, key=key, days=(-10, -1))
    new = make(None, "Root", ca=True, key=key)
    assert trusted(make(new), anchors=[old, new][::order])
