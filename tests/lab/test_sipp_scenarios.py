"""The programs of the demonstration's hosts."""

from sbc_filter.lab import sipp_scenarios


def test_the_sbc_relays_by_the_transport_by_which_a_message_came() -> None:
    made = sipp_scenarios.sbc(["192.0.2.1", "[2001:db8::1]"], {"192.0.2.7": "198.51.100.7"})
    lines = [line.strip() for line in made.splitlines() if line.startswith("listen=") or "$du" in line]
    assert lines == [
        "listen=udp:192.0.2.1:5060",
        "listen=udp:[2001:db8::1]:5060",
        "listen=tcp:192.0.2.1:5060",
        "listen=tcp:[2001:db8::1]:5060",
        'if (src_ip == 192.0.2.7 && proto == UDP) $du = "sip:198.51.100.7:5060;transport=udp";',
        'if (src_ip == 192.0.2.7 && proto == TCP) $du = "sip:198.51.100.7:5060;transport=tcp";',
    ]
