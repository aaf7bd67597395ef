"""Addresses without a prefix are taken as LNST takes them, but not in silence."""

from __future__ import annotations

import pytest
from tests.e2e.user import User

pytestmark = pytest.mark.needs("namespaces")


def test_an_address_without_a_prefix_is_a_single_one_and_the_summary_says_so(user: User) -> None:
    user.recipe(
        """
        import ipaddress

        class Single(BaseRecipe):
            m1 = HostReq()
            m1.eth0 = DeviceReq(label="net1")

            def test(self):
                eth0 = self.matched.m1.eth0
                eth0.ip_add("192.0.2.1")
                eth0.ip_add(ipaddress.ip_address("2001:db8::1"))
                eth0.ip_add("192.0.2.2/32")
                eth0.ip_add("192.0.2.3/24")
                eth0.ip_add("192.0.2.4", peer="192.0.2.5")
                assert {"192.0.2.1/32", "2001:db8::1/128"} <= set(map(str, eth0.ips))
        """
    )
    ended = user.shakeout("run", "my.py")
    assert ended.status == 0, ended.out + ended.err
    assert ended.out.count("has no prefix") == 2, ended.out
    assert "m1.eth0.ip_add('192.0.2.1') has no prefix, so it is a single address, 192.0.2.1/32" in ended.out
    assert "write 2001:db8::1/64, say" in ended.out
