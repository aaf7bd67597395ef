"""HOST:PORT as people write it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shakeout.errors import UsageError
from shakeout.wire.address import parse_address, shown_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("dut1", ("dut1", 9999)),
        ("dut1.lab:7", ("dut1.lab", 7)),
        ("192.0.2.7:0", ("192.0.2.7", 0)),
        ("::1", ("::1", 9999)),
        ("[::1]", ("::1", 9999)),
        ("[fe80::1%eth0]:65535", ("fe80::1%eth0", 65535)),
        (":9999", ("", 9999)),
        ("*", ("", 9999)),
        (" dut1 ", ("dut1", 9999)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text", ["", " ", ":", "dut1:", "dut1:x", "dut1:-1", "dut1:65536", "dut1:٣", "[::1", "[::1]x", "[::1]:", "[dut1]:7",
             "a b:7", "a\0b", "/run/agent.sock", "dut1:999999999999"],
)  # fmt: skip
def test_no_addresses(text: str) -> None:
    with pytest.raises(UsageError, match=r"is no address; write HOST, HOST:PORT or \[IPV6\]:PORT"):
        parse_address(text)


@given(st.text(max_size=30))
def test_anything_is_an_address_or_refused(text: str) -> None:
    try:
        _, port = parse_address(text)
    except UsageError:
        return
    assert 0 <= port <= 65535


@given(st.ip_addresses(), st.integers(0, 65535))
def test_what_is_shown_can_be_read(address: object, port: int) -> None:
    assert parse_address(shown_address((str(address), port))) == (str(address), port)
