"""What was not looked at: sentences, summary and exit code are made of the same counts."""

import pytest

from sbc_filter.capture.unseen import OTHERS, Reason, Unseen

NFLOG, LLDP = "link type 239 (NFLOG)", "EtherType 0x88cc (LLDP)"


@pytest.mark.parametrize(
    ("added", "sentences", "invites", "hides"),
    [
        ([(Reason.LINK_TYPE, NFLOG, 1)] * 3, [f"3 packets of {NFLOG} were not looked at: 3 INVITEs inside."], 3, True),
        ([(Reason.ETHERTYPE, LLDP, 0)], [f"Not looked at, and without an INVITE: {LLDP} (1)."], 0, False),
        (
            [(Reason.TUNNEL, "IP protocol 50 (ESP)", 0)],
            ["1 packet of IP protocol 50 (ESP) was not looked at."],
            0,
            True,
        ),
        (
            [(Reason.CUT, "96", 1)] * 34,
            ["34 INVITEs were cut by the capture, snap length 96: capture with -s 0."],
            34,
            True,
        ),
        (
            [(Reason.CUT, "40", 0)],
            ["1 packet was cut by the capture, snap length 40: capture with -s 0."],
            0,
            True,
        ),
        (
            [(Reason.OTHER_PORT, "5080", 1), (Reason.OTHER_PORT, "30000", 0)],
            ["1 INVITE was not looked at: to ports that [network].ports (5060, 5062) does not name: 5080 (1)."],
            1,
            True,
        ),
        ([(Reason.TLS, "5061", 0)], ["1 packet of SIP over TLS was not looked at: to port 5061 (1)."], 0, True),
        (
            [(Reason.NO_TIME, "", 1)],
            ["1 packet has no time stamp; freshness cannot be judged: use --at."],
            1,
            True,
        ),
        (
            [(Reason.LIVE_TUNNEL, "GRE", 1)],
            ["1 INVITE is in a tunnel (GRE): the live filter sees them only where the tunnel ends."],
            0,
            False,
        ),
    ],
)
def test_what_is_said_and_whether_it_is_a_failure(
    added: list[tuple[Reason, str, int]], sentences: list[str], invites: int, hides: bool
) -> None:
    unseen = Unseen((5062, 5060))
    for reason, where, inside in added:
        unseen.add(reason, where, inside)
    assert list(unseen.sentences()) == sentences
    assert (unseen.invites, unseen.has_invites, unseen.may_hide_invites) == (invites, invites > 0, hides)


def test_the_summary_has_an_object_for_each_reason_and_place_the_most_calls_first() -> None:
    unseen = Unseen()
    unseen.add(Reason.OTHER_PORT, "5080", 1)
    unseen.add(Reason.OTHER_PORT, "30000", packets=7)
    unseen.add(Reason.ETHERTYPE, LLDP)
    assert unseen.summary() == [
        {"reason": "ethertype", "where": LLDP, "packets": 1, "invites": 0},
        {"reason": "other-port", "where": "5080", "packets": 1, "invites": 1},
        {"reason": "other-port", "where": "30000", "packets": 7, "invites": 0},
    ]


def test_a_flood_of_places_is_counted_in_bounded_memory() -> None:
    unseen = Unseen()
    for place in range(5000):
        unseen.add(Reason.NO_ADDRESS, str(place), 1)
    assert unseen.total(Reason.NO_ADDRESS) == (5000, 5000)
    assert len(unseen.summary()) == 4097
    assert unseen.summary()[0] == {"reason": "no-address", "where": OTHERS, "packets": 904, "invites": 904}
