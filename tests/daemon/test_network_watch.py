"""What the supervisor says about an incomplete `[network].sbc`."""

from collections.abc import Sequence

from sbc_filter.daemon.network_watch import NetworkWatch
from sbc_filter.system.local_addresses import LocalAddress, forgotten

SBC = LocalAddress("192.0.2.1", "eth0")
SECOND = LocalAddress("192.0.2.7", "eth1")
SENTENCE = (
    "192.0.2.7 on eth1 is an address of this host, but not in [network].sbc:"
    " calls to it are treated as inbound from an untrusted peer, and pass unfiltered over TCP"
)


def test_an_address_that_the_configuration_lacks() -> None:
    assert forgotten(["192.0.2.1"], [SBC, SECOND, SECOND]) == [SENTENCE]
    assert forgotten(["192.0.2.1", "192.0.2.7"], [SBC, SECOND]) == []


def test_no_word_where_the_sbc_is_another_host() -> None:
    assert forgotten(["198.51.100.1"], [SBC, SECOND]) == []
    assert forgotten([], [SBC, SECOND]) == []


def test_no_word_about_addresses_that_every_host_has() -> None:
    everybody = [LocalAddress(address, "lo") for address in ("127.0.0.1", "::1", "fe80::1", "169.254.1.1")]
    assert forgotten(["192.0.2.1"], [SBC, *everybody]) == []


def test_each_address_is_said_once_until_it_has_been_gone() -> None:
    local: list[LocalAddress] = []
    watch = NetworkWatch(lambda: local)
    said = []
    for now in ([SBC], [SBC, SECOND], [SBC, SECOND], [SBC], [SBC, SECOND]):
        local[:] = now
        said.append(list(watch.news(["192.0.2.1"], 0)))
    assert said == [[], [f"warning: {SENTENCE}"], [], [], [f"warning: {SENTENCE}"]]


def test_a_kernel_that_does_not_answer_changes_nothing() -> None:
    answers: list[Sequence[LocalAddress] | OSError] = [[SBC, SECOND], OSError(), [SBC, SECOND]]

    def local() -> Sequence[LocalAddress]:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer

    watch = NetworkWatch(local)
    assert [len(list(watch.news(["192.0.2.1"], 0))) for _ in range(3)] == [1, 0, 0]


def test_calls_without_a_direction_are_said_whenever_their_number_has_doubled() -> None:
    watch = NetworkWatch(list)
    said = [[line.split()[1] for line in watch.news([], count)] for count in (0, 1, 1, 2, 3, 9, 17, 18, 18)]
    assert said == [[], ["1"], [], ["2"], [], ["9"], [], ["18"], []]
    assert list(watch.news([], 99)) == [
        "warning: 99 INVITEs so far were neither to nor from an address in [network].sbc:"
        " no rule is tried on such calls; their records have no-direction"
    ]
