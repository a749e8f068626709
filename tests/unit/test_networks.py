"""Addresses: whose they are where peers are counted, and which of many networks they are in."""

from __future__ import annotations

import pytest

from streams.admission import Admission
from streams.networks import Networks, address_of, counted_as, networks_of


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("10.20.3.7", "10.20.3.7"),
        ("::ffff:10.20.3.7", "10.20.3.7"),
        ("2001:db8:20:1:aaaa::7", "2001:db8:20:1::/64"),
        ("2001:db8:20:1:bbbb:1:2:3", "2001:db8:20:1::/64"),
        ("2001:db8:20:2::7", "2001:db8:20:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_an_ipv6_address_counts_as_its_64_and_a_mapped_one_as_what_it_is(address: str, counted: str) -> None:
    assert counted_as(address) == counted


def test_one_machine_has_the_room_of_one_however_many_addresses_it_gives_itself() -> None:
    admission = Admission(4, 3)
    places = [admission.connect(f"2001:db8::{number:x}") for number in range(1, 100)]
    assert sum(place is not None for place in places) == 6
    assert admission.connect("2001:db8:0:1::1") is not None
    assert [admission.connect(address) is not None for address in ("10.0.0.1", "::ffff:10.0.0.1")] == [True, False]


def test_what_is_written_as_mapped_means_the_ipv4_addresses_that_connections_have() -> None:
    """RFC 4291 section 2.5.5.2. Such an entry was taken and let nobody in."""
    written = networks_of(["::ffff:10.20.3.7", "::ffff:10.20.4.0/120", "::FFFF:0:0/96"])
    assert [str(one) for one in written] == ["10.20.3.7/32", "10.20.4.0/24", "0.0.0.0/0"]
    assert address_of("10.20.3.7") in Networks(written[:1])
    assert [str(one) for one in networks_of(["::/0", "2001:db8::/48"])] == ["::/0", "2001:db8::/48"]
    with pytest.raises(ValueError, match=r"write 10\.20\.4\.0/24, or the address alone"):
        networks_of(["::ffff:10.20.4.7/120"])


def test_an_address_is_in_one_of_many_networks_or_in_none() -> None:
    known = Networks(networks_of(["10.20.3.7", "10.20.4.0/24", "2001:db8::7", "2001:db8:1::/48", "10.20.3.7"]))
    inside = ("10.20.3.7", "::ffff:10.20.3.7", "10.20.4.255", "2001:db8::7", "2001:db8:1:2::3")
    outside = ("10.20.3.8", "10.20.5.0", "2001:db8::8", "2001:db8:2::1", "::1")
    assert all(address_of(one) in known for one in inside)
    assert not any(address_of(one) in known for one in outside)
