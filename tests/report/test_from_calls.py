"""The calls of a capture as lines and details."""

from support.calls import CALLED, CALLER, CARRIER, NOW, SBC, arriving, identity, invite, leaving, make_engine, response
from support.gathered import Packet, gathered

from sbc_filter.calls.call import Call
from sbc_filter.report.contents import Line
from sbc_filter.report.from_calls import decided, detail_of, line_of

PEER, OURS = f"{CARRIER}:5060", f"{SBC}:5060"


def call_of(*packets: Packet | bytes) -> Call:
    (call,) = gathered(packets, engine=make_engine()).in_order()
    return call


def test_the_line_of_a_call() -> None:
    call = call_of(Packet(arriving(invite(identity(), caller="13125550123")), 2.0))
    call.signer = "SHAKEN 1234"
    assert line_of(call, changed=True) == Line(
        number=1,
        time=NOW + 2.0,
        caller="13125550123",
        called=CALLED,
        call_id="call-1@carrier.example",
        outcome="invalid",
        detail="orig-mismatch",
        treatment="continue",
        rule="verify",
        peer=CARRIER,
        attestation="A",
        signer=" ".join(filter(None, (call.spc, "SHAKEN 1234"))),
        packet=1,
        changed=True,
        response="none",
    )


def test_a_peer_with_a_trunk_is_named_by_it() -> None:
    call = call_of(arriving(invite(identity())))
    call.trunk = "acme"
    assert line_of(call, changed=False).peer == "acme"


def test_a_call_of_which_only_the_anchor_is_missing() -> None:
    call = call_of(arriving(invite(identity())))
    assert not line_of(call, changed=False).only_anchor_missing
    call.supposed = True
    assert line_of(call, changed=False).only_anchor_missing


def test_an_unknown_signer_is_named_by_the_host_of_its_certificate() -> None:
    call = call_of(arriving(invite(identity())))
    call.spc = call.signer = None
    for x5u, name in (
        ("https://certificates.example.org/shaken.pem", "certificates.example.org"),
        ("javascript:alert(1)", ""),
        ("https://[", ""),
        (None, ""),
    ):
        call.x5u = x5u
        assert line_of(call, changed=False).signer == name


def test_a_call_of_which_no_invite_was_decided() -> None:
    call = call_of(leaving(response("180 Ringing")))
    line = line_of(call, changed=False)
    assert (line.outcome, line.result, line.rule, line.caller) == ("", "", "", CALLER)
    assert decided(call) is None
    assert detail_of(call, None).outcome == ""


def test_messages_and_the_side_of_the_sbc() -> None:
    call = call_of(arriving(invite(identity())), leaving(response("180 Ringing")))
    detail = detail_of(call, None)
    assert [(each.src, each.dst, each.packet) for each in detail.messages] == [(PEER, OURS, 1), (OURS, PEER, 2)]
    assert detail.sbc == {OURS}
    assert detail.messages[0].received == invite(identity())
    assert b"verstat=TN-Validation-Passed" in detail.messages[0].sent[0]
    assert detail.messages[1].sent == (response("180 Ringing"),)


def test_the_sbc_of_a_call_that_leaves() -> None:
    detail = detail_of(call_of(leaving(invite())), None)
    assert detail.sbc == {OURS}


def test_the_message_that_decided() -> None:
    call = call_of(arriving(invite(identity())), leaving(response("180 Ringing")))
    assert decided(call) is call.messages[0]
    call.forget()
    assert decided(call) is None
