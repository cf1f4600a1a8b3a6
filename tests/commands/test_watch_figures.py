"""The figures of `status --watch`."""

from typing import Any

from sbc_filter.commands.watch_figures import Rates, Window, picture, rates

STATE: dict[str, Any] = {
    "since": 1.8e9 - 7200, "configuration": "/etc/sbc-filter/sbc-filter.toml", "outcomes": {"passed": 12, "invalid": 3},
    "counters": {"packets": 100, "held-now": 2}, "firewall": {"state": "applied", "problem": None}, "observing": [],
    "queues": {50: {"waiting": 1024, "length": 4096, "dropped": 5, "unfiltered": 7, "direction": "inbound"}},
    "processes": [{"name": "worker 1", "ready": True, "restarts": 0}, {"name": "worker 2", "ready": False,
    "restarts": 3}], "reloaded": {"time": 1.8e9 - 60, "problems": ["r.toml: wrong\x1b"]},
    "credentials": [{"name": "ours", "expires": 1.8e9 + 86400 * 12}, {"name": "old", "expires": 1.8e9 - 1}],
    "trust_lists": [{"list": "/us.jwt", "expires": 1.8e9 + 3600}, {"list": "/ca.jwt", "expires": None}],
}  # fmt: skip


def record(**fields: Any) -> dict[str, Any]:
    return {
        "outcome": "passed",
        "trunk": "acme",
        "spc": "5678",
        "x5u": None,
        "delay": 0.0003,
        "mode": "enforce",
        **fields,
    }


def test_the_picture() -> None:
    window = Window()
    for _ in range(3):
        window.add(record(), 10.0)
    window.add(record(outcome="invalid", spc=None, x5u="https://evil.example:8443/a.pem", delay=0.3), 11.0)
    window.add(record(trunk=None, spc=None, delay=5.0), 12.0)
    window.add(record(mode="monitor"), 12.0)
    window.miss(37, 12.0)
    assert list(picture(STATE, Rates(203.04, 811.0), window, 1.8e9, 13.0)) == [
        "sbc-filter 2027-01-15T08:00:00Z, for 2 h: /etc/sbc-filter/sbc-filter.toml",
        "Calls      203.0/s, 15 in all; packets 811.0/s; held now 2",
        "Queue 50   inbound: 1024 wait (25 %), dropped 5, unfiltered 7",
        "Processes  worker 2 is not ready",
        "Firewall   applied",
        "Reload     refused 1 min ago: r.toml: wrong\x1b",  # escaped where it is shown
        "Expires    certificate old EXPIRED; trust list /us.jwt in 1 h; certificate ours in 12 d",
        "",
        "The last minute, by records (37 more were not shown)",
        "Outcomes                  Trunks                    Signers",
        "     4 passed                  4 acme                    3 5678",
        "     1 invalid                 1 no trunk                1 evil.example ?",
        "",
        "Latency, from arrival to verdict",
        " <= 0.5 ms  60.0 % ##############################",
        " <= 500 ms  20.0 % ##########",
        " > 1000 ms  20.0 % ##########",
    ]


def test_the_relay_is_shown_with_what_passes_it() -> None:
    relay = {"name": "relay 1", "ready": True, "restarts": 0}
    state = {**STATE, "processes": [relay], "counters": {"relay-connections-now": 1}}
    assert list(picture(state, Rates(0.0, 0.0), Window(), 1.8e9, 13.0))[3] == "TCP        1 connection"
    counters = {"relay-connections-now": 20, "unrelayed-encrypted": 2, "unrelayed-older": 30, "unrelayed-elsewhere": 4}
    assert list(picture({**state, "counters": counters}, Rates(0.0, 0.0), Window(), 1.8e9, 13.0))[3] == (
        "TCP        20 connections; unfiltered: 2 to ports of TLS, 4 without an address of the SBC, 30 packets of older"
        " ones"
    )


def test_what_is_older_than_a_minute_is_gone() -> None:
    window = Window()
    window.add(record(), 10.0)
    window.miss(1, 10.0)
    assert window.total("outcomes", 70.9) == {"passed": 1}
    assert (window.total("outcomes", 71.0), window.latencies(71.0), window.missed(71.0)) == ({}, [], 0)


def test_names_that_peers_choose_are_bounded() -> None:
    window = Window()
    for number in range(5000):
        window.add(record(spc=None, x5u=f"https://{number}.example/"), 1.0)
    found = window.total("signers", 1.0)
    assert (len(found), found["others"], found.total()) == (501, 4500, 5000)
    window.add(record(spc=None, x5u="https://[::1"), 1.0)


def test_rates_between_two_states() -> None:
    later = {**STATE, "outcomes": {"passed": 22, "invalid": 3}, "counters": {"packets": 140}}
    assert rates(STATE, later, 2.0) == Rates(5.0, 20.0)
    assert rates(None, later, 2.0) == Rates(0.0, 0.0)
    assert rates({**STATE, "since": 1.0}, later, 2.0) == Rates(0.0, 0.0)  # another process
    assert rates(later, STATE, 2.0) == Rates(0.0, 0.0)
