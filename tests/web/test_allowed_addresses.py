from ipaddress import ip_network

import pytest

from sbc_filter.web.allowed_addresses import is_permitted

PUBLIC = ["1.1.1.1", "8.8.8.8", "2606:4700:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"]
SPECIAL = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "127.0.0.1", "127.255.255.255", "169.254.169.254"),
    *("172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.9", "192.0.2.1", "192.31.196.1", "192.52.193.1"),
    *("192.88.99.1", "192.168.1.1", "192.175.48.1", "198.18.0.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("::", "::1", "fe80::1", "fe80::1%lo", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "ff0e::1", "100::1"),
    *("2001:db8::1", "3fff::1", "5f00::1", "4000::1", "2620:4f:8000::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:224.0.0.1"),  # IPv4-mapped
    *("::127.0.0.1", "::8.8.8.8"),  # IPv4-compatible
    *("2002:7f00:1::1", "2002:a00:1::1", "2002:808:808::1"),  # 6to4
    *("2001::1", "2001:0:7f00:1::", "2001:0:808:808::f7f7:f7f7", "2001:10::1", "2001:20::1", "2001:1::1"),  # Teredo &c.
    *("64:ff9b::127.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::1"),  # NAT64
    *("::ffff:0:127.0.0.1",),  # RFC 2765
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_permitted(address: str) -> None:
    assert is_permitted(address)


@pytest.mark.parametrize("address", SPECIAL)
def test_not_permitted(address: str) -> None:
    assert not is_permitted(address)


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3"])
def test_one_allowed_address(address: str) -> None:
    assert is_permitted(address, [ip_network("10.1.2.3/32")])
    assert not is_permitted(address, [ip_network("10.1.2.2/32"), ip_network("10.1.2.4/30")])


def test_allowed_networks() -> None:
    allowed = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]
    for address in ("10.1.2.3", "fd00::1", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "8.8.8.8"):
        assert is_permitted(address, allowed)
    for address in ("192.168.0.1", "fc00::1", "::1", "2002:a00:1::1"):
        assert not is_permitted(address, allowed)
    with pytest.raises(ValueError, match="localhost"):
        is_permitted("localhost")
