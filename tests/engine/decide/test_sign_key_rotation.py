"""A new certificate takes over in a running engine: one call is signed with the old one, the next with the new."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from support.calls import CREDENTIAL, LAB, MAKER, NOW, SBC, SIGN, TRUST, claims, identity, invite, leaving, result

from sbc_filter.engine.call.network import Network
from sbc_filter.engine.engine import Engine
from sbc_filter.engine.memory.certificates import CertificateMemory
from sbc_filter.lab.certificate_maker import X5U, key_pem, pem
from sbc_filter.numbering.numbering_plans import PROFILES
from sbc_filter.rules.rule_file import load_rules
from sbc_filter.rules.trunk import TrunkTable
from sbc_filter.stir.credential import load_credential, make_credential

NEW_X5U = "https://certificates.example.org/new.pem"
NEW_KEY: ec.EllipticCurvePrivateKey = MAKER.key()
NEW_LEAF = MAKER.leaf(LAB.issuing, key=NEW_KEY)
BEGINS = NOW + 100


@pytest.fixture
def engine() -> Engine:
    rules, trunks = load_rules({"rules.toml": SIGN}, str, ["ours"])
    new = load_credential("ours", key_pem(NEW_KEY), pem(NEW_LEAF.certificate), NEW_X5U)
    new = make_credential("ours", new.key, pem(NEW_LEAF.certificate), NEW_X5U, begins=BEGINS)
    network = Network((SBC,), (5060,), (), (), TrunkTable(trunks))
    credentials = {"ours": CREDENTIAL.followed_by([new])}
    return Engine(rules, network, CertificateMemory(TRUST), credentials, b"secret", PROFILES["nanp"])


def test_the_new_one_takes_over(engine: Engine) -> None:
    for number, (now, key, x5u) in enumerate([(BEGINS - 1, LAB.leaf.key, X5U), (BEGINS, NEW_KEY, NEW_X5U)]):
        _, message, record = result(engine, leaving(invite(number=number)), now)
        expected = identity(claims(iat=int(now)), jose={"x5u": x5u}, key=key)
        assert expected.encode() in message.split(b"\r\n")
        assert (record["outcome"], record["x5u"]) == ("signed", x5u)


def test_another_credential_of_the_same_name(engine: Engine) -> None:
    """Obtained while calls run: in force from the next call on, and what is sent again is what it was."""
    before = result(engine, leaving(invite()), NOW)[1]
    engine.replace_credentials({"ours": load_credential("ours", key_pem(NEW_KEY), pem(NEW_LEAF.certificate), NEW_X5U)})
    _, message, record = result(engine, leaving(invite(number=2)), NOW)
    expected = identity(claims(), jose={"x5u": NEW_X5U}, key=NEW_KEY)
    assert expected.encode() in message.split(b"\r\n")
    assert (record["outcome"], record["x5u"]) == ("signed", NEW_X5U)
    assert result(engine, leaving(invite()), NOW + 1)[1] == before


def test_a_retransmission_behind_the_change_is_the_same(engine: Engine) -> None:
    raw = leaving(invite())
    assert result(engine, raw, BEGINS + 1)[1] == result(engine, raw, BEGINS + 1)[1]
    other = leaving(invite(number=2))
    before = result(engine, other, BEGINS - 0.2)[1]
    assert result(engine, other, BEGINS + 0.3)[1] == before
