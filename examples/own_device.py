"""A device class of one's own: one implementation, used from the recipe and executed on the host.

Run it with: shakeout run examples/own_device.py
"""

from shakeout import BaseRecipe, BridgeDevice, DeviceReq, HostReq


class CountingBridge(BridgeDevice):
    """A bridge that says how busy it is. Whatever is public here can be used from a recipe."""

    idle_below = 100  # a plain attribute: read and set from the recipe, kept on the host

    @property
    def packets(self) -> int:
        """Packets seen so far, either way."""
        return self.link_stats["rx_packets"] + self.link_stats["tx_packets"]

    @property
    def busy(self) -> bool:
        return self.packets >= self.idle_below

    def settle(self, ports) -> list[str]:
        """Take *ports* and bring all of it up: one round trip for many steps on the host."""
        for port in ports:
            self.slave_add(port)
            port.up()
        self.up()
        return sorted(port.name for port in ports)


class OwnDevice(BaseRecipe):
    """Makes one, and uses what it offers."""

    m1 = HostReq()
    m1.eth0 = DeviceReq(label="net1")
    m1.eth1 = DeviceReq(label="net2")

    def test(self):
        m1 = self.matched.m1
        m1.br0 = CountingBridge(mcast_snooping=False)
        assert m1.br0.settle([m1.eth0, m1.eth1]) == ["eth0", "eth1"]
        assert m1.eth0.master.name == "br0"

        m1.br0.idle_below = 10**9
        self.add_result(not m1.br0.busy, "the bridge is idle", {"packets": m1.br0.packets})

        # Iterating a device gives all of its attributes, those of its own class, too.
        assert {"mtu", "state", "packets", "busy"} <= {name for name, _ in m1.br0}
