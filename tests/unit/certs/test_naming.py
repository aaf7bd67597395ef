"""What may be a name in a certificate."""

from __future__ import annotations

import pytest

from shakeout.certs.naming import check_address, check_name
from shakeout.errors import UsageError
from shakeout.wire.certificates import Role


@pytest.mark.parametrize("name", ["dut1", "DUT_1.lab", "_a", "7", "a" * 64, "rack-7.row-2"])
def test_names_as_in_a_pool_are_accepted(name: str) -> None:
    assert check_name(name, "host") == name
    assert check_name(name, "controller") == name


def test_a_controller_may_be_called_as_people_are_in_mail() -> None:
    assert check_name("anna+ci@desk", "controller") == "anna+ci@desk"


@pytest.mark.parametrize(
    "name",
    ["", "ü", "a" * 65, "a" * 300, "../x", "a/b", "a b", " a", "a\n", "*.lab", ".a", "-a", "a.", "a..b", "a\0b", "١"],
)
@pytest.mark.parametrize("role", ["host", "controller"])
def test_odd_names_are_refused_with_what_is_accepted(name: str, role: Role) -> None:
    with pytest.raises(UsageError, match=f"cannot be a {role}'s name: 1 to 64 characters are accepted") as refused:
        check_name(name, role)
    assert len(str(refused.value)) < 500


def test_a_host_is_not_called_like_a_person() -> None:
    with pytest.raises(UsageError, match="as in the host's pool file"):
        check_name("anna@desk", "host")


@pytest.mark.parametrize(
    ("text", "usual"),
    [("192.0.2.7", "192.0.2.7"), ("2001:DB8:0::7", "2001:db8::7"), ("dut1.lab", "dut1.lab"), ("::1", "::1")],
)
def test_addresses(text: str, usual: str) -> None:
    assert check_address(text) == usual


@pytest.mark.parametrize("text", ["", "192.0.2.7:9999", "[::1]", "a b", "fe80::1%eth0 ", "*", "host:1"])
def test_no_addresses(text: str) -> None:
    with pytest.raises(UsageError, match="is no address"):
        check_address(text)
